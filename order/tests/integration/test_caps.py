"""Limits on stock that is reserved by unpaid orders."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from chassis.storage.database import Transactions
from contracts import NOT_CONFIRMED, Event, PaymentDeclined
from contracts.testing import payment_action_required
from order.jobs import expire_orders, forget_declined_networks

Start = Callable[..., Awaitable[Any]]
GUEST = {"role": "guest", "email": None}
WINDOW = timedelta(seconds=600)


def declined(order_id: UUID, code: str = "card_declined") -> Event:
    return PaymentDeclined(order_id=order_id, code=code)


async def decline(order: Any, shopper: UUID, **more: Any) -> UUID:
    """Place an order whose payment is declined."""
    placed = UUID((await order.place(shopper, **more)).json()["order_id"])
    await order.consume(declined(placed))
    return placed


def is_refused(answer: httpx.Response, status: int, problem: str) -> bool:
    return (answer.status_code, answer.json()["type"]) == (status, f"/problems/{problem}")


def from_network(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


async def test_a_shopper_with_too_many_declined_payments_gets_429(
    start: Start, services: Any, shopper: UUID
) -> None:
    order = await start(declines_per_shopper=2)
    await decline(order, shopper)
    await decline(order, shopper)
    refused = await order.place(shopper, key="third")
    assert is_refused(refused, 429, "too-many-declined")
    assert 590 <= int(refused.headers["retry-after"]) <= 600
    assert await order.count("orders") == 2
    other = uuid4()
    services.carts[other] = {"MUG": 1}
    assert (await order.place(other)).status_code == 202


async def test_a_refusal_for_declined_payments_does_not_use_up_the_key(start: Start, shopper: UUID) -> None:
    order = await start(declines_per_shopper=1)
    await decline(order, shopper)
    assert is_refused(await order.place(shopper, key="later"), 429, "too-many-declined")
    await order.database.execute("UPDATE orders SET declined_at = declined_at - interval '10 minutes'")
    assert (await order.place(shopper, key="later")).status_code == 202


async def test_a_network_with_too_many_declined_payments_gets_429_for_every_shopper(
    start: Start, services: Any, shopper: UUID
) -> None:
    order = await start(declines_per_network=2)
    for _ in range(3):
        services.carts[guest := uuid4()] = {"MUG": 1}
        answer = await order.place(
            guest, caller=GUEST, email="eve@example.com", sent=from_network("192.0.2.1")
        )
        if answer.status_code == 202:
            await order.consume(declined(UUID(answer.json()["order_id"])))
    assert is_refused(answer, 429, "too-many-declined")
    elsewhere = await order.place(shopper, sent=from_network("198.51.100.1"))
    assert elsewhere.status_code == 202


async def test_payments_that_are_not_declined_do_not_count(
    start: Start, shopper: UUID, paid: Callable[..., Event]
) -> None:
    order = await start(declines_per_shopper=1, declines_per_network=1)
    await order.consume(paid(await order.placed(shopper)))
    await order.cancel(await order.placed(shopper), shopper)
    assert (await order.place(shopper)).status_code == 202


@pytest.mark.parametrize("asked_for_long", [True, False])
async def test_an_unconfirmed_payment_counts_as_declined(
    start: Start, shopper: UUID, asked_for_long: bool
) -> None:
    """Too late for payment, or past the order's own deadline: the stock was held for nothing either way."""
    order = await start(declines_per_shopper=1)
    placed = await order.placed(shopper)
    soon = datetime.now(UTC) + timedelta(minutes=1)
    await order.consume(payment_action_required(order_id=placed, url="encrypted", expires_at=soon))
    if asked_for_long:
        await order.consume(declined(placed, NOT_CONFIRMED))
    else:
        await order.database.execute("UPDATE orders SET deadline = now()")
        await expire_orders(Transactions(order.engine, "order", lease=0), 10)
    assert is_refused(await order.place(shopper), 429, "too-many-declined")


async def test_an_order_that_expires_for_other_reasons_does_not_count(start: Start, shopper: UUID) -> None:
    order = await start(declines_per_shopper=1, declines_per_network=1)
    await order.placed(shopper)
    await order.database.execute("UPDATE orders SET deadline = now()")
    await expire_orders(Transactions(order.engine, "order", lease=0), 10)
    assert (await order.place(shopper)).status_code == 202


async def test_the_network_of_an_order_is_hashed_and_kept_only_while_it_counts(
    order: Any, shopper: UUID, paid: Callable[..., Event]
) -> None:
    kept = await decline(order, shopper)
    await order.consume(paid(await order.placed(shopper)))
    await order.cancel(await order.placed(shopper), shopper)
    rows = await order.database.fetch("SELECT order_id FROM orders WHERE network IS NOT NULL")
    assert [row["order_id"] for row in rows] == [kept]
    transactions = Transactions(order.engine, "order", lease=0)
    await forget_declined_networks(transactions, WINDOW, batch=10)
    assert await order.database.fetchval("SELECT count(network) FROM orders") == 1
    await order.database.execute("UPDATE orders SET declined_at = declined_at - interval '11 minutes'")
    await forget_declined_networks(transactions, WINDOW, batch=1)
    assert await order.database.fetchval("SELECT count(network) FROM orders") == 0


async def test_a_guest_can_order_a_limited_number_of_pieces_of_a_product(
    start: Start, services: Any, shopper: UUID
) -> None:
    order = await start(guest_open_pieces=5)
    services.carts[shopper] = {"MUG": 6}
    refused = await order.place(shopper, caller=GUEST, email="ada@example.com")
    assert is_refused(refused, 422, "cart-not-orderable")
    assert refused.json()["errors"] == [{"sku": "MUG", "detail": "The quantity must be from 1 to 5."}]
    assert (await order.place(shopper)).status_code == 202


async def test_the_pieces_of_a_guest_s_open_orders_count_together(
    start: Start, services: Any, shopper: UUID
) -> None:
    order = await start(guest_open_pieces=5)
    services.carts[shopper] = {"LANTERN": 1, "MUG": 3}

    async def place() -> httpx.Response:
        answer: httpx.Response = await order.place(shopper, caller=GUEST, email="ada@example.com", key="one")
        return answer

    first = await order.place(shopper, caller=GUEST, email="ada@example.com")
    refused = await place()
    assert is_refused(refused, 409, "too-many-open-pieces")
    assert refused.json()["sku"] == "MUG"
    services.carts[shopper] = {"LANTERN": 4, "MUG": 2}
    assert (await order.place(shopper, caller=GUEST, email="ada@example.com", key="other")).status_code == 202
    services.carts[shopper] = {"MUG": 3}
    await order.consume(declined(UUID(first.json()["order_id"])))
    assert (await place()).status_code == 202


async def test_the_limit_on_pieces_holds_for_checkouts_at_the_same_moment(
    start: Start, services: Any, shopper: UUID
) -> None:
    order = await start(guest_open_pieces=5)
    services.carts[shopper] = {"MUG": 2}
    answers = await asyncio.gather(
        *(order.place(shopper, caller=GUEST, email="ada@example.com") for _ in range(6))
    )
    assert sorted(answer.status_code for answer in answers) == [202] * 2 + [409] * 4


async def test_an_account_s_pieces_are_not_counted(start: Start, shopper: UUID) -> None:
    order = await start(guest_open_pieces=2)
    for _ in range(2):
        await order.placed(shopper)
