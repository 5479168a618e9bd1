"""The periodic jobs: orders expire once, whatever the number of replicas, and old idempotency keys are
deleted."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.http.idempotency import IdempotencyKeys
from order.jobs import expire_orders

Start = Callable[..., Awaitable[Any]]


@pytest.fixture
async def pending(order: Any, services: Any, shopper: UUID) -> list[UUID]:
    """Seven pending orders."""
    return [await order.placed(shopper) for _ in range(7)]


async def let_pass(order: Any, order_ids: list[UUID]) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    await order.database.execute(
        "UPDATE orders SET deadline = $1 WHERE order_id = ANY($2::uuid[])", past, order_ids
    )


async def cancelled(order: Any) -> list[str]:
    return sorted(data["order_id"] for type_, data in await order.published() if type_ == "order.cancelled")


async def test_only_orders_past_their_deadline_are_cancelled(order: Any, pending: list[UUID]) -> None:
    await let_pass(order, pending[:3])
    await expire_orders(order.transactions, 100)
    assert await cancelled(order) == sorted(map(str, pending[:3]))
    rows = await order.database.fetch("SELECT order_id, status, reason FROM orders")
    assert {row["order_id"]: (row["status"], row["reason"]) for row in rows} == {
        one: ("cancelled", "expired") if one in pending[:3] else ("pending", None) for one in pending
    }


async def test_expiring_continues_until_nothing_is_due(order: Any, pending: list[UUID]) -> None:
    await let_pass(order, pending)
    await expire_orders(order.transactions, 2)
    assert await cancelled(order) == sorted(map(str, pending))


async def test_concurrent_replicas_cancel_each_order_once(
    start: Start, order: Any, pending: list[UUID]
) -> None:
    replicas = [order, await start(), await start()]
    await let_pass(order, pending)
    await asyncio.gather(*(expire_orders(one.transactions, 2) for one in replicas))
    await expire_orders(order.transactions, 2)  # rows that one skipped while another held them
    assert await cancelled(order) == sorted(map(str, pending))


async def test_expiring_skips_an_order_that_is_locked_by_a_step(
    order: Any, pending: list[UUID], paid: Any
) -> None:
    await let_pass(order, pending)
    async with order.database.transaction():
        await order.database.execute("SELECT 1 FROM orders WHERE order_id = $1 FOR UPDATE", pending[0])
        async with asyncio.timeout(10):
            await expire_orders(order.transactions, 100)
    await order.consume(paid(pending[0]))
    await expire_orders(order.transactions, 100)
    assert await cancelled(order) == sorted(map(str, pending[1:]))


async def test_a_paid_order_does_not_expire(order: Any, pending: list[UUID], paid: Any) -> None:
    await order.consume(paid(pending[0]))
    await let_pass(order, pending[:1])
    await expire_orders(order.transactions, 100)
    assert await cancelled(order) == []


async def test_an_order_paid_after_it_expired_stays_cancelled(
    order: Any, shopper: UUID, pending: list[UUID], paid: Any
) -> None:
    await let_pass(order, pending[:1])
    await expire_orders(order.transactions, 100)
    await order.consume(paid(pending[0]))
    view = (await order.get(f"/v1/orders/{pending[0]}", shopper)).json()
    assert (view["status"], view["reason"]) == ("cancelled", "expired")


async def test_old_idempotency_keys_are_deleted(order: Any, shopper: UUID) -> None:
    await order.place(shopper, key="old")
    await order.place(shopper, key="new")
    await order.database.execute(
        "UPDATE idempotency_keys SET created_at = now() - interval '25 hours' WHERE key = 'old'"
    )
    await IdempotencyKeys(order.engine).prune()
    assert [row["key"] for row in await order.database.fetch("SELECT key FROM idempotency_keys")] == ["new"]


async def test_the_query_for_expired_orders_uses_its_index(order: Any, shopper: UUID) -> None:
    await order.database.execute(
        """
        INSERT INTO orders (order_id, shopper_id, lines, total, currency, payment_method, contact, created_at,
            deadline, status, paid_at, payment_id)
        SELECT gen_random_uuid(), $1, '[1]', 1, 'GBP', 'pm_x', 'x', now(), now(), 'paid', now(), 'pi'
        FROM generate_series(1, 5000)
        """,
        uuid4(),
    )
    await order.database.execute("ANALYZE orders")
    plan = await order.database.fetch(
        "EXPLAIN SELECT order_id FROM orders WHERE status = 'pending' AND deadline < now() LIMIT 100"
    )
    assert "orders_pending" in str(plan)
