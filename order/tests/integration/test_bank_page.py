"""Payments that the bank asks the shopper to confirm: return origins, and who sees the confirmation page."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.fernet import Fernet

from chassis.messaging.encryption import Cipher
from contracts import NOT_CONFIRMED, Money, PaymentActionRequired, PaymentDeclined
from contracts.testing import payment_action_required, payment_authorized
from order.jobs import SLOW_PENDING, due_for_nudge
from order.settings import Settings

from ..conftest import ACTION_KEY

PAGE = "https://bank.example/3ds?client_secret=shh"
RETURN = "https://shop.example/orders/return?from=bank#top"
Start = Callable[..., Awaitable[Any]]
ADMIN = {"role": "admin"}
TOTAL = Money(amount=699, currency="GBP")


def asked(order_id: UUID, minutes: float = 10, key: str = ACTION_KEY) -> PaymentActionRequired:
    return payment_action_required(
        order_id=order_id,
        payment_id="pi_1",
        url=Cipher([key]).encrypt(PAGE),
        expires_at=datetime.now(UTC) + timedelta(minutes=minutes),
    )


async def action(order: Any, order_id: UUID, shopper: UUID, **caller: Any) -> Any:
    return (await order.get(f"/v1/orders/{order_id}", shopper, **caller)).json()["action"]


async def test_the_return_url_is_published_to_payment(order: Any, shopper: UUID) -> None:
    assert (await order.place(shopper, return_url=RETURN)).status_code == 202
    [(type_, data)] = await order.published()
    assert (type_, data["return_url"]) == ("order.created", RETURN)


async def test_the_return_url_may_name_the_order_before_it_exists(order: Any, shopper: UUID) -> None:
    order_id = await order.placed(shopper, return_url="https://shop.example/orders/{order_id}?from=bank")
    [(_, data)] = await order.published()
    assert data["return_url"] == f"https://shop.example/orders/{order_id}?from=bank"


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example{order_id}/",
        "https://shop.example/{order}",
        "https://evil.example/orders",
        "https://shop.example.evil.example/",
        "https://shop.example@evil.example/",
        "http://shop.example/",
        "https://shop.example:8443/",
        "javascript:alert(1)",
        "",
        f"https://shop.example/{'x' * 2000}",
        7,
    ],
)
async def test_a_return_url_of_another_site_is_refused(order: Any, shopper: UUID, url: Any) -> None:
    answer = await order.place(shopper, key="the-same", return_url=url)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/return_url"]
    assert await order.count("orders") == 0
    assert (await order.place(shopper, key="the-same", return_url=RETURN)).status_code == 202


async def test_without_return_origins_every_return_url_is_refused(start: Start, shopper: UUID) -> None:
    order = await start(return_origins="")
    assert (await order.place(shopper, return_url=RETURN)).status_code == 422
    assert (await order.place(shopper)).status_code == 202


async def test_the_shopper_sees_the_confirmation_page_and_its_expiry(order: Any, shopper: UUID) -> None:
    order_id = await order.placed(shopper)
    assert await action(order, order_id, shopper) is None
    event = asked(order_id)
    await order.consume(event)
    to_do = {"url": PAGE, "expires_at": event.expires_at}
    for shown in (
        await action(order, order_id, shopper),
        (await order.get("/v1/orders", shopper)).json()["items"][0]["action"],
    ):
        assert shown | {"expires_at": datetime.fromisoformat(shown["expires_at"])} == to_do


async def test_nobody_but_the_shopper_sees_the_confirmation_page(order: Any, shopper: UUID) -> None:
    order_id, other = await order.placed(shopper), uuid4()
    await order.consume(asked(order_id))
    assert await action(order, order_id, other, **ADMIN) is None
    listed = await order.get("/v1/orders", other, **ADMIN)
    assert listed.json()["items"][0]["action"] is None
    timeline = await order.get(f"/v1/orders/{order_id}/timeline", shopper)
    [event] = timeline.json()["events"]
    assert (event["type"], event["data"].keys()) == ("payment.action_required", {"expires_at"})
    for answer in (listed, timeline):
        assert "bank.example" not in answer.text


async def test_the_confirmation_page_is_stored_encrypted_and_deleted_when_the_order_ends(
    order: Any, shopper: UUID, paid: Any
) -> None:
    order_id = await order.placed(shopper)
    await order.consume(asked(order_id))
    rows = "SELECT orders::text FROM orders"
    assert "bank.example" not in await order.database.fetchval(rows)
    await order.consume(paid(order_id))
    assert await action(order, order_id, shopper) is None
    row = await order.database.fetchrow("SELECT action_url, action_expires_at FROM orders")
    assert [*row.values()] == [None, None]


async def test_an_expired_confirmation_page_is_not_shown(order: Any, shopper: UUID) -> None:
    order_id = await order.placed(shopper)
    await order.consume(asked(order_id, minutes=-1))
    assert await action(order, order_id, shopper) is None


async def test_a_page_encrypted_with_an_unknown_key_is_not_shown_but_the_order_is(
    order: Any, shopper: UUID
) -> None:
    order_id = await order.placed(shopper)
    await order.consume(asked(order_id, key=Fernet.generate_key().decode()))
    view = (await order.get(f"/v1/orders/{order_id}", shopper)).json()
    assert (view["status"], view["action"]) == ("pending", None)


async def test_an_order_that_was_not_confirmed_in_time_is_cancelled_as_expired(
    order: Any, shopper: UUID
) -> None:
    order_id = await order.placed(shopper)
    await order.consume(asked(order_id), PaymentDeclined(order_id=order_id, code=NOT_CONFIRMED))
    view = (await order.get(f"/v1/orders/{order_id}", shopper)).json()
    assert (view["status"], view["reason"], view["action"]) == ("cancelled", "expired", None)


@pytest.mark.parametrize("reader", ["shopper", "admin"])
async def test_a_stream_shows_the_action_to_the_shopper_only(
    order: Any, shopper: UUID, bearer: Any, reader: str
) -> None:
    order_id = await order.placed(shopper)
    await order.consume(asked(order_id), payment_authorized(order_id=order_id, total=TOTAL))
    headers = bearer(shopper) if reader == "shopper" else bearer(uuid4(), **ADMIN)
    lines: list[str] = []
    async with order.http.stream("GET", f"/v1/orders/{order_id}/events", headers=headers) as answer:
        async for line in answer.aiter_lines():
            lines.append(line)
            if '"status"' in line:
                break
    state = json.loads(lines[-1].removeprefix("data: "))
    assert "event: timeline" in lines
    assert (state["status"], (state["action"] or {}).get("url")) == (
        "pending",
        PAGE if reader == "shopper" else None,
    )


async def test_an_open_stream_sends_a_new_action(order: Any, shopper: UUID, bearer: Any) -> None:
    order_id = await order.placed(shopper)
    actions: list[Any] = []
    async with order.http.stream("GET", f"/v1/orders/{order_id}/events", headers=bearer(shopper)) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: ") and '"status"' in line:
                actions.append(json.loads(line.removeprefix("data: "))["action"])
                if len(actions) == 1:
                    await order.consume(asked(order_id))
                else:
                    break
    assert (actions[0], actions[1]["url"]) == (None, PAGE)


async def test_an_order_is_not_nudged_while_its_shopper_can_confirm(order: Any, shopper: UUID) -> None:
    order_id = await order.placed(shopper)
    await order.consume(asked(order_id))

    async def due(minutes: float) -> list[UUID]:
        settings = Settings.model_construct(nudge_after=180.0, nudge_days=90, sweep_batch=10)
        async with order.transactions() as tx:
            tx.now += timedelta(minutes=minutes)
            return [found.order_id for found, _ in await due_for_nudge(tx, SLOW_PENDING, settings)]

    assert (await due(9), await due(11)) == ([], [order_id])
