"""Stuck sagas are nudged: pending orders, cancelled ones with missing compensations, and open returns."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts import Event, Money
from contracts.testing import (
    payment_authorized,
    payment_refunded,
    payment_refunded_in_part,
    payment_voided,
    stock_released,
    stock_reserved,
    stock_returned,
)
from order.jobs import nudge_pending, nudge_returns, nudge_uncompensated
from order.settings import Settings

Start = Callable[..., Awaitable[Any]]
AMOUNT = Money(amount=699, currency="GBP")


@pytest.fixture
def settings() -> Settings:
    return Settings.model_construct(nudge_after=180.0, nudge_limit=5, sweep_batch=100, nudge_days=90)


async def age(order: Any, seconds: float) -> None:
    """Let time pass for all orders."""
    columns = ("created_at", "deadline", "cancelled_at", "returning_since", "nudge_at")
    changes = ", ".join(f"{one} = {one} - $1::interval" for one in columns)
    await order.database.execute(f"UPDATE orders SET {changes}", timedelta(seconds=seconds))


async def nudged(order: Any) -> list[UUID]:
    return [UUID(data["order_id"]) for type_, data in await order.published() if type_ == "saga.nudged"]


async def cancelled(order: Any, shopper: UUID, *events: Callable[[UUID], Event]) -> UUID:
    """An order that was cancelled just now, after these events."""
    order_id: UUID = await order.placed(shopper)
    await order.consume(*(build(order_id) for build in events))
    assert (await order.cancel(order_id, shopper)).is_success
    return order_id


async def received(order: Any, shopper: UUID, paid: Any, bearer: Any) -> tuple[UUID, UUID]:
    """An order with a return that was received just now, and the return's id."""
    order_id: UUID = await order.placed(shopper)
    await order.consume(paid(order_id))
    path, staff = f"/v1/orders/{order_id}", bearer(uuid4(), role="warehouse")
    assert (await order.http.post(f"{path}/fulfil", headers=staff)).is_success
    lines = {"lines": [{"sku": "LANTERN", "quantity": 1}]}
    keyed = bearer(shopper) | {"Idempotency-Key": uuid4().hex}
    requested = await order.http.post(f"{path}/returns", headers=keyed, json=lines)
    return_id = UUID(requested.json()["return_id"])
    assert (await order.http.post(f"{path}/returns/{return_id}/receive", headers=staff)).is_success
    return order_id, return_id


def restocked(order_id: UUID, return_id: UUID) -> Event:
    return stock_returned(order_id=order_id, return_id=return_id)


def refunded(order_id: UUID, return_id: UUID) -> Event:
    amount = Money(amount=250, currency="GBP")
    return payment_refunded_in_part(order_id=order_id, refund_id=return_id, amount=amount, by="return")


def reserved(order_id: UUID) -> Event:
    return stock_reserved(order_id=order_id)


def authorized(order_id: UUID) -> Event:
    return payment_authorized(order_id=order_id, total=AMOUNT)


async def test_a_pending_order_is_nudged_before_it_expires(
    order: Any, shopper: UUID, settings: Settings
) -> None:
    slow = await order.placed(shopper)
    await age(order, 181)
    await order.placed(shopper)
    for _ in range(2):
        await nudge_pending(order.transactions, settings)
    assert await nudged(order) == [slow]
    await age(order, 361)
    await nudge_pending(order.transactions, settings)
    assert len(await nudged(order)) == 3, "again after twice the time, and the other one"


async def test_a_cancelled_order_is_nudged_until_no_compensation_is_missing(
    order: Any, shopper: UUID, settings: Settings
) -> None:
    one = await cancelled(order, shopper, reserved, authorized)
    await nudge_uncompensated(order.transactions, settings)
    assert await nudged(order) == [], "it has only just been cancelled"
    await age(order, 181)
    await order.consume(stock_released(order_id=one, restocked=False))
    await nudge_uncompensated(order.transactions, settings)
    assert await nudged(order) == [one]
    await order.consume(payment_voided(order_id=one))
    await age(order, 361)
    await nudge_uncompensated(order.transactions, settings)
    assert await nudged(order) == [one]
    assert await order.database.fetchval("SELECT undone FROM orders")


async def test_a_cancelled_order_without_missing_compensations_is_checked_once(
    order: Any, shopper: UUID, settings: Settings
) -> None:
    await cancelled(order, shopper)
    await age(order, 181)
    await nudge_uncompensated(order.transactions, settings)
    assert await nudged(order) == []
    assert await order.database.fetchval("SELECT undone FROM orders")


async def test_a_late_capture_of_an_undone_order_is_nudged(
    order: Any, shopper: UUID, settings: Settings, paid: Any
) -> None:
    one = await cancelled(order, shopper)
    await age(order, 181)
    await nudge_uncompensated(order.transactions, settings)
    await order.consume(paid(one))
    await nudge_uncompensated(order.transactions, settings)
    assert await nudged(order) == [one]
    await order.consume(payment_refunded(order_id=one, total=AMOUNT))
    await age(order, 361)
    await nudge_uncompensated(order.transactions, settings)
    assert await order.database.fetchval("SELECT undone FROM orders")


async def test_nudges_are_bounded(order: Any, shopper: UUID, settings: Settings) -> None:
    one = await cancelled(order, shopper, reserved)
    for _ in range(settings.nudge_limit + 2):
        await age(order, settings.nudge_after * 2**settings.nudge_limit + 1)
        await nudge_uncompensated(order.transactions, settings)
    assert await nudged(order) == [one] * settings.nudge_limit


async def test_orders_are_nudged_for_as_long_as_services_keep_their_state(
    order: Any, shopper: UUID, settings: Settings
) -> None:
    one = await cancelled(order, shopper, reserved)
    await age(order, 20 * 86400)
    await nudge_uncompensated(order.transactions, settings)
    assert await nudged(order) == [one]
    await age(order, 71 * 86400)
    await nudge_uncompensated(order.transactions, settings)
    assert await nudged(order) == [one]


@pytest.mark.parametrize(("first", "last"), [(restocked, refunded), (refunded, restocked)])
async def test_a_return_is_nudged_until_it_is_both_restocked_and_refunded(
    order: Any, shopper: UUID, settings: Settings, paid: Any, bearer: Any, first: Any, last: Any
) -> None:
    one, return_id = await received(order, shopper, paid, bearer)
    await nudge_returns(order.transactions, settings)
    assert await nudged(order) == [], "it was only just received"
    await order.consume(first(one, return_id))
    await age(order, 181)
    await nudge_returns(order.transactions, settings)
    assert await nudged(order) == [one]
    await order.consume(last(one, return_id))
    await age(order, 361)
    await nudge_returns(order.transactions, settings)
    assert await nudged(order) == [one]


async def test_a_return_that_was_only_requested_is_not_nudged(
    order: Any, shopper: UUID, settings: Settings, paid: Any, bearer: Any
) -> None:
    one, return_id = await received(order, shopper, paid, bearer)
    await order.consume(restocked(one, return_id), refunded(one, return_id))
    lines = {"lines": [{"sku": "MUG", "quantity": 1}]}
    keyed = bearer(shopper) | {"Idempotency-Key": uuid4().hex}
    assert (await order.http.post(f"/v1/orders/{one}/returns", headers=keyed, json=lines)).is_success
    await age(order, 181)
    await nudge_returns(order.transactions, settings)
    assert await nudged(order) == []


async def test_a_return_is_nudged_a_limited_number_of_times_with_doubling_pauses(
    order: Any, shopper: UUID, settings: Settings, paid: Any, bearer: Any
) -> None:
    one, _ = await received(order, shopper, paid, bearer)
    few = settings.model_copy(update={"nudge_limit": 3})
    pauses = (180, 360, 720)
    for n, pause in enumerate(pauses):
        await age(order, pause - 5)
        await nudge_returns(order.transactions, few)
        assert len(await nudged(order)) == n, f"{pause} seconds have not passed"
        await age(order, 10)
        await nudge_returns(order.transactions, few)
        assert await nudged(order) == [one] * (n + 1)
    for _ in range(2):
        await age(order, 86400)
        await nudge_returns(order.transactions, few)
    assert len(await nudged(order)) == few.nudge_limit


async def test_a_return_is_not_nudged_after_services_may_have_deleted_it(
    order: Any, shopper: UUID, settings: Settings, paid: Any, bearer: Any
) -> None:
    await received(order, shopper, paid, bearer)
    await age(order, 91 * 86400)
    await nudge_returns(order.transactions, settings)
    assert await nudged(order) == []


async def test_concurrent_replicas_nudge_each_order_once(
    start: Start, order: Any, shopper: UUID, settings: Settings
) -> None:
    replicas = [order, await start(), await start()]
    orders = [await order.placed(shopper) for _ in range(7)]
    await age(order, 181)
    few = settings.model_copy(update={"sweep_batch": 3})
    await asyncio.gather(*(nudge_pending(one.transactions, few) for one in replicas))
    for _ in range(3):
        await nudge_pending(order.transactions, few)
    assert sorted(await nudged(order)) == sorted(orders)


async def test_the_query_for_missing_compensations_uses_its_index(order: Any) -> None:
    await order.database.execute("""
        INSERT INTO orders (order_id, shopper_id, lines, total, currency, payment_method, contact, created_at,
            deadline, status, cancelled_at, reason, undone)
        SELECT gen_random_uuid(), gen_random_uuid(), '[1]', 1, 'GBP', 'pm_x', 'x', now(), now(),
            'cancelled', now(), 'shopper', true
        FROM generate_series(1, 5000)""")
    await order.database.execute("ANALYZE orders")
    plan = await order.database.fetch(
        "EXPLAIN SELECT order_id FROM orders WHERE status = 'cancelled' AND NOT undone"
        " AND cancelled_at BETWEEN now() - interval '1 day' AND now() ORDER BY cancelled_at LIMIT 100"
    )
    assert "orders_to_undo" in str(plan)
