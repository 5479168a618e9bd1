"""Holds that are stuck past their order's deadline have the saga nudged: a limited number of times, once
each."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import text

from chassis.storage.database import Transactions, connect
from product.domain import Hold, HoldState
from product.jobs import nudge_stuck_holds
from product.settings import Settings

LONG_AGO = datetime.now(UTC) - timedelta(hours=1)


async def hold(
    transactions: Transactions, state: HoldState = "reserved", deadline: datetime = LONG_AGO
) -> UUID:
    order_id = uuid4()
    async with transactions() as tx:
        tx.add(Hold(order_id, state, {"lamp": 1}, deadline=deadline))
    return order_id


async def nudged(transactions: Transactions) -> list[str]:
    async with transactions.engine.connect() as connection:
        query = "SELECT data::json ->> 'order_id' FROM outbox WHERE type = 'saga.nudged'"
        return sorted((await connection.execute(text(query))).scalars())


async def let_pass(transactions: Transactions) -> None:
    async with transactions.engine.begin() as connection:
        await connection.execute(text("UPDATE hold SET nudge_at = now() - interval '1 second'"))


async def test_only_stock_reserved_long_past_its_deadline_is_nudged(
    transactions: Transactions, settings: Settings
) -> None:
    stuck = await hold(transactions)
    await hold(transactions, deadline=datetime.now(UTC) - timedelta(seconds=settings.nudge_after / 2))
    await hold(transactions, "sold")
    await nudge_stuck_holds(transactions, settings)
    await nudge_stuck_holds(transactions, settings)
    assert await nudged(transactions) == [str(stuck)]


async def test_nudges_are_limited(transactions: Transactions, settings: Settings) -> None:
    stuck = await hold(transactions)
    for _ in range(settings.nudge_limit + 2):
        await nudge_stuck_holds(transactions, settings)
        await let_pass(transactions)
    assert await nudged(transactions) == [str(stuck)] * settings.nudge_limit


async def test_replicas_that_run_the_job_together_nudge_each_order_once(
    transactions: Transactions, settings: Settings
) -> None:
    stuck = [await hold(transactions) for _ in range(5)]
    few = settings.model_copy(update={"reconcile_batch": 2})
    await asyncio.gather(*(nudge_stuck_holds(transactions, few) for _ in range(3)))
    for _ in range(3):
        await nudge_stuck_holds(transactions, few)
    assert await nudged(transactions) == sorted(map(str, stuck))


async def test_a_hold_that_an_older_release_writes_has_a_deadline(
    transactions: Transactions, settings: Settings
) -> None:
    async with transactions.engine.begin() as connection:
        await connection.execute(
            text("INSERT INTO hold (order_id, state, lines) VALUES (gen_random_uuid(), 'reserved', '{}')")
        )
    async with transactions.engine.connect() as connection:
        deadline = (await connection.execute(text("SELECT deadline FROM hold"))).scalar_one()
    assert timedelta(minutes=14) < deadline - datetime.now(UTC) < timedelta(minutes=16)


async def test_the_job_reads_only_reserved_holds(migrated: Callable[[str], str]) -> None:
    engine = connect(migrated("product"), pool_size=1, statement_timeout=20)
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO hold (order_id, state, lines)"
                " SELECT gen_random_uuid(), 'sold', '{}' FROM generate_series(1, 5000)"
            )
        )
        await connection.execute(text("ANALYZE hold"))
        plan = await connection.execute(
            text("EXPLAIN SELECT 1 FROM hold WHERE state = 'reserved' AND deadline < now() LIMIT 100")
        )
        assert "hold_reserved" in str(plan.all())
    await engine.dispose()
