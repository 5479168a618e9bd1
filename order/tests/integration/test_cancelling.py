"""Cancelling is one statement that is guarded by the version that was read: it crosses with steps safely."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from chassis.storage.database import Transactions, connect
from contracts import OrderPaid
from order.cancelling import Cancelling
from order.domain import Order
from order.returns import ReturnPeriod
from order.store import VersionedOrder

from ..conftest import Running, Start


async def until_waiting_for_a_lock(order: Running) -> None:
    """Until a statement waits for a row that another transaction has locked."""
    async with asyncio.timeout(10):
        while not await order.database.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)


async def state(order: Running) -> tuple[str, list[str]]:
    """The status of the only order, and the types of the events in the outbox."""
    status = await order.database.fetchval("SELECT status FROM orders")
    return status, [type_ for type_, _ in await order.published()]


async def test_a_cancel_that_waits_for_the_capture_cancels_the_paid_order(
    order: Running, paid: Callable[[UUID], OrderPaid], shopper: UUID
) -> None:
    order_id = await order.placed(shopper)
    async with order.transactions() as tx:
        locked = await tx.get(Order, order_id)
        assert locked is not None
        locked.pay(paid(order_id), tx.now)
        await tx.flush()
        cancel = asyncio.create_task(order.cancel(order_id, shopper))
        await until_waiting_for_a_lock(order)
    answer = (await cancel).json()
    assert (answer["status"], answer["paid_at"] is not None) == ("cancelled", True)
    [_, (type_, data)] = await order.published()
    assert (type_, data["was_paid"]) == ("order.cancelled", True)


async def test_a_cancel_that_waits_for_a_cancellation_changes_and_publishes_nothing(
    order: Running, shopper: UUID
) -> None:
    order_id = await order.placed(shopper)
    async with order.transactions() as tx:
        locked = await tx.get(Order, order_id)
        assert locked is not None
        tx.publish(*locked.decline("bank_declined", tx.now))
        await tx.flush()
        cancel = asyncio.create_task(order.cancel(order_id, shopper))
        await until_waiting_for_a_lock(order)
    assert (await cancel).json()["reason"] == "payment_declined"
    assert await state(order) == ("cancelled", ["order.created", "order.cancelled"])


async def test_a_lock_that_changes_nothing_does_not_make_a_cancel_lose(order: Running, shopper: UUID) -> None:
    order_id = await order.placed(shopper)
    async with order.transactions() as tx:
        await tx.get(Order, order_id)
        cancel = asyncio.create_task(order.cancel(order_id, shopper))
        await until_waiting_for_a_lock(order)
    assert (await cancel).json()["status"] == "cancelled"
    assert await state(order) == ("cancelled", ["order.created", "order.cancelled"])


async def test_a_capture_during_a_cancel_leaves_the_order_cancelled_and_misses_its_refund(
    order: Running, paid: Callable[[UUID], OrderPaid], shopper: UUID
) -> None:
    order_id = await order.placed(shopper)
    await asyncio.gather(order.cancel(order_id, shopper), order.consume(paid(order_id)))
    view = (await order.get(f"/v1/orders/{order_id}", shopper)).json()
    [_, (type_, data)] = await order.published()
    assert (view["status"], type_) == ("cancelled", "order.cancelled")
    assert data["was_paid"] == (view["paid_at"] is not None)


async def test_events_that_are_redelivered_after_a_cancel_change_nothing(
    order: Running, paid: Callable[[UUID], OrderPaid], shopper: UUID
) -> None:
    order_id = await order.placed(shopper)
    await order.cancel(order_id, shopper)
    for _ in range(2):
        await order.consume(paid(order_id))
        await order.cancel(order_id, shopper)
    assert await state(order) == ("cancelled", ["order.created", "order.cancelled"])


async def test_a_cancel_that_cannot_publish_changes_nothing(
    order: Running, shopper: UUID, as_operator: Callable[[Any], str]
) -> None:
    order_id = await order.placed(shopper)
    operator = connect(as_operator(order.engine.url), pool_size=2, statement_timeout=10)
    async with operator.begin() as connection:
        await connection.execute(text("ALTER TABLE outbox RENAME TO lost"))
    assert (await order.cancel(order_id, shopper)).status_code == 500
    async with operator.begin() as connection:
        await connection.execute(text("ALTER TABLE lost RENAME TO outbox"))
    await operator.dispose()
    assert await state(order) == ("pending", ["order.created"])
    assert (await order.cancel(order_id, shopper)).json()["status"] == "cancelled"


async def test_an_order_that_changes_again_and_again_answers_409(
    order: Running, shopper: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id = await order.placed(shopper)
    read = VersionedOrder.read

    async def read_and_change(engine: Any, order_id: UUID) -> VersionedOrder | None:
        found = await read(engine, order_id)
        await order.database.execute("UPDATE orders SET nudges = nudges + 1")
        return found

    monkeypatch.setattr(VersionedOrder, "read", read_and_change)
    answer = await order.cancel(order_id, shopper)
    assert (answer.status_code, answer.headers["retry-after"]) == (409, "1")
    assert await state(order) == ("pending", ["order.created"])
    monkeypatch.undo()
    assert (await order.cancel(order_id, shopper)).json()["status"] == "cancelled"


async def test_the_action_of_staff_is_recorded_once_and_only_with_the_cancellation(
    order: Running, paid: Callable[[UUID], OrderPaid], shopper: UUID
) -> None:
    order_id = await order.placed(shopper)
    cancelling = Cancelling(order.transactions, ReturnPeriod(days=1), lambda: None)
    staff = uuid4()
    async with order.transactions() as tx:
        locked = await tx.get(Order, order_id)
        assert locked is not None
        locked.pay(paid(order_id), tx.now)
        await tx.flush()
        cancels = [
            asyncio.create_task(cancelling.by_staff(order_id, staff, "out of business")) for _ in range(3)
        ]
        await until_waiting_for_a_lock(order)
    await asyncio.gather(*cancels)
    rows = await order.database.fetch("SELECT order_id, done_by, why FROM staff_action")
    assert [tuple(row) for row in rows] == [(order_id, staff, "out of business")]
    assert await state(order) == ("cancelled", ["order.created", "order.cancelled"])


async def test_a_cancellation_is_published_by_another_process_if_this_one_dies(
    order: Running, shopper: UUID
) -> None:
    order_id = await order.placed(shopper)
    dying = Transactions(order.transactions.engine, "order", lease=0.1)  # its relay never runs
    await Cancelling(dying, ReturnPeriod(days=1), lambda: None).by_shopper(order_id)
    async with asyncio.timeout(10):
        while not await order.database.fetchval(
            "SELECT count(*) FROM outbox WHERE type = 'order.cancelled' AND leased_until < clock_timestamp()"
        ):
            await asyncio.sleep(0.05)


async def test_all_of_an_order_survives_reading_and_changing_it(
    order: Running, paid: Callable[[UUID], OrderPaid], shopper: UUID
) -> None:
    order_id = await order.placed(shopper)
    await order.consume(paid(order_id))
    before = dict(await order.database.fetchrow("SELECT * FROM orders"))
    await order.cancel(order_id, shopper)
    after = dict(await order.database.fetchrow("SELECT * FROM orders"))
    assert {name for name in before if before[name] != after[name]} == {"status", "cancelled_at", "reason"}


async def test_a_cancel_in_this_process_wakes_the_streams(start: Start, shopper: UUID) -> None:
    order = await start()
    order_id = await order.placed(shopper)
    woken: list[bool] = []
    cancelling = Cancelling(order.transactions, ReturnPeriod(days=1), lambda: woken.append(True))
    await cancelling.by_shopper(order_id)
    await cancelling.by_shopper(order_id)
    assert woken == [True]
