"""A cart can be ordered once: a second submit gets the first order, until that is cancelled."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from chassis.storage.raw_sql import compose
from contracts import OrderPaid
from order.placing import _EARLIER

Start = Callable[..., Awaitable[Any]]
FIRST, OTHER, THIRD = (UUID(int=n) for n in (1, 2, 3))


@pytest.fixture
def cart(services: Any, shopper: UUID) -> list[UUID]:
    """What the shopper's cart counts as."""
    ids: list[UUID] = [FIRST]
    services.ids[shopper] = ids
    return ids


def tells_of(refused: httpx.Response, order_id: UUID) -> bool:
    """Whether it was refused because there is that order."""
    body = refused.json()
    assert (refused.status_code, body["type"]) == (409, "/problems/cart-already-ordered")
    assert body["links"]["self"] == f"/v1/orders/{body['order_id']}"
    assert body["number"] in body["detail"]
    return bool(body["order_id"] == str(order_id))


async def test_a_second_submit_gets_the_first_order(order: Any, shopper: UUID, cart: list[UUID]) -> None:
    placed = await order.placed(shopper)
    refused = await order.place(shopper)
    assert tells_of(refused, placed)
    view = (await order.get(refused.json()["links"]["self"], shopper)).json()
    assert view["number"] == refused.json()["number"]
    assert await order.count("orders") == await order.count("outbox") == 1


async def test_the_same_key_gets_the_same_response(order: Any, shopper: UUID, cart: list[UUID]) -> None:
    first = await order.place(shopper, key="once")
    assert tells_of(await order.place(shopper, key="other"), UUID(first.json()["order_id"]))
    again = await order.place(shopper, key="once")
    assert (again.status_code, again.content) == (202, first.content)


async def test_a_refusal_does_not_use_up_the_key(order: Any, shopper: UUID, cart: list[UUID]) -> None:
    placed = await order.placed(shopper)
    assert tells_of(await order.place(shopper, key="later"), placed)
    await order.cancel(placed, shopper)
    assert (await order.place(shopper, key="later")).status_code == 202


async def test_a_submit_of_the_emptied_cart_gets_the_paid_order(
    order: Any, services: Any, shopper: UUID, cart: list[UUID], paid: Callable[[UUID], OrderPaid]
) -> None:
    placed = await order.placed(shopper)
    await order.consume(paid(placed))
    assert tells_of(await order.place(shopper), placed)
    services.carts[shopper] = {}
    assert tells_of(await order.place(shopper), placed)


async def test_a_submit_of_a_cart_that_became_invalid_gets_the_first_order(
    order: Any, services: Any, shopper: UUID, cart: list[UUID]
) -> None:
    placed = await order.placed(shopper)
    services.sell("MUG", 500)
    dearer = await order.place(shopper, expected_total={"amount": 699, "currency": "GBP"})
    assert tells_of(dearer, placed)
    services.sell("MUG", 199, status="retired")
    assert tells_of(await order.place(shopper), placed)


async def test_the_rest_of_a_cart_that_was_bought_in_part_is_ordered_once(
    order: Any, services: Any, shopper: UUID, cart: list[UUID], paid: Callable[[UUID], OrderPaid]
) -> None:
    """An order of all of it that was placed while the first was being taken out is still one of this cart."""
    first = await order.placed(shopper)
    await order.consume(paid(first))
    cart[:], services.bought[shopper] = [OTHER, FIRST], [first]
    second = await order.placed(shopper)
    assert tells_of(await order.place(shopper), second)
    services.bought[shopper] = []
    assert tells_of(await order.place(shopper), second)
    await order.cancel(second, shopper)
    assert tells_of(await order.place(shopper), first)


async def test_another_cart_is_ordered(order: Any, shopper: UUID, cart: list[UUID]) -> None:
    await order.placed(shopper)
    cart[:] = [OTHER]
    await order.placed(shopper)
    assert await order.count("orders") == 2


async def test_a_cart_without_ids_of_the_previous_release_can_be_ordered_repeatedly(
    order: Any, shopper: UUID
) -> None:
    for _ in range(2):
        await order.placed(shopper)


async def test_a_cancelled_order_s_cart_can_be_ordered_again_and_only_once(
    order: Any, shopper: UUID, cart: list[UUID]
) -> None:
    for _ in range(3):
        placed = await order.placed(shopper)
        assert tells_of(await order.place(shopper), placed)
        await order.cancel(placed, shopper)


async def test_a_guests_order_counts_for_the_cart_that_its_cart_was_merged_into(
    order: Any, services: Any, shopper: UUID, cart: list[UUID]
) -> None:
    placed = await order.placed(shopper)
    account = uuid4()
    services.carts[account], services.ids[account] = {"MUG": 3}, [FIRST, OTHER]
    assert tells_of(await order.place(account), placed)


async def test_an_accounts_order_counts_for_its_cart_after_a_merge(
    order: Any, shopper: UUID, cart: list[UUID]
) -> None:
    placed = await order.placed(shopper)
    cart[:] = [OTHER, FIRST]
    assert tells_of(await order.place(shopper), placed)


@pytest.mark.parametrize("read_before", [FIRST, OTHER])
async def test_an_order_of_a_merged_cart_counts_for_each_merged_cart(
    order: Any, shopper: UUID, cart: list[UUID], paid: Callable[[UUID], OrderPaid], read_before: UUID
) -> None:
    """Also of one that was read before the merge, and is placed after it by whomever."""
    cart[:] = [FIRST, OTHER]
    placed = await order.placed(shopper)
    cart[:] = [read_before]
    assert tells_of(await order.place(shopper), placed)
    await order.consume(paid(placed))
    assert tells_of(await order.place(shopper), placed)
    cart[:] = [THIRD]
    await order.placed(shopper)


async def test_of_many_submits_at_once_one_is_accepted_whichever_process_takes_them(
    start: Start, shopper: UUID, cart: list[UUID]
) -> None:
    copies = [await start() for _ in range(3)]
    for _ in range(5):
        answers = await asyncio.gather(*(copies[n % 3].place(shopper) for n in range(15)))
        [accepted] = [answer for answer in answers if answer.status_code == 202]
        placed = UUID(accepted.json()["order_id"])
        assert all(tells_of(answer, placed) for answer in answers if answer is not accepted)
        await copies[0].cancel(placed, shopper)
    assert await copies[0].count("orders") == 5


async def test_checkout_uses_indexes_even_without_statistics(
    order: Any,
) -> None:
    await order.database.execute("SET plan_cache_mode = force_generic_plan")
    sql, parameters = compose((("earlier", _EARLIER),), "earlier.* FROM earlier", ())
    await order.database.execute(f"PREPARE checkout AS {sql}")
    rows = await order.database.fetch(f"EXPLAIN EXECUTE checkout ({', '.join(['NULL'] * len(parameters))})")
    plan = "\n".join(row[0] for row in rows)

    for index in ("orders_cart", "orders_declined_shopper", "orders_declined_network"):
        assert f"using {index} on orders" in plan, plan
    assert "Seq Scan on orders" not in plan, plan
