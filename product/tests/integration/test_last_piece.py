"""Many orders at once on a real PostgreSQL: what the row locks and the CHECKs promise, they keep."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from chassis import database
from contracts import Event
from product.saga import steps

WORKERS = 2
TOGETHER = 4


@pytest.fixture
async def workers(migrated: Callable[[str], str]) -> AsyncIterator[list[database.Transactions]]:
    url = migrated("product")
    engines = [database.connect(url, pool_size=TOGETHER, statement_timeout=30) for _ in range(WORKERS)]
    yield [database.Transactions(engine, "product", lease=60) for engine in engines]
    for engine in engines:
        await engine.dispose()


async def stock_up(workers: list[database.Transactions], **pieces: int) -> None:
    async with workers[0]() as tx:
        for sku, n in pieces.items():
            values = {"sku": sku, "n": n}
            await tx.session.execute(
                text(
                    "INSERT INTO product (sku, name, description, price, currency)"
                    " VALUES (:sku, :sku, '', 100, 'GBP')"
                ),
                values,
            )
            await tx.session.execute(text("INSERT INTO stock VALUES (:sku, :n, 0, 0, :n, 'active')"), values)


def _step(event: Event) -> Any:
    return steps.find(event.type, event.version)


async def handle(transactions: database.Transactions, batch: Sequence[Event]) -> None:
    """As the consumer does: lock for all, run each, commit once; on a conflict one by one again."""
    try:
        async with transactions() as tx:
            await tx.lock([pair for event in batch for pair in _step(event).locks(event)])
            for event in batch:
                await _step(event).run(event, tx)
    except IntegrityError:
        for event in batch:
            await handle(transactions, [event])


async def handle_all(workers: list[database.Transactions], events: Sequence[Event], size: int) -> None:
    batches = [events[start : start + size] for start in range(0, len(events), size)]
    free = asyncio.Semaphore(WORKERS * TOGETHER)

    async def one(number: int, batch: Sequence[Event]) -> None:
        async with free:
            await handle(workers[number % WORKERS], batch)

    await asyncio.gather(*(one(number, batch) for number, batch in enumerate(batches)))


async def levels(workers: list[database.Transactions]) -> dict[str, tuple[int, int, int]]:
    async with workers[0]() as tx:
        rows = await tx.session.execute(text("SELECT sku, on_hand, reserved, sold FROM stock"))
        return {row.sku: (row.on_hand, row.reserved, row.sold) for row in rows}


async def states(workers: list[database.Transactions]) -> dict[str, int]:
    async with workers[0]() as tx:
        rows = await tx.session.execute(text("SELECT state, count(*) AS n FROM hold GROUP BY state"))
        return {row.state: row.n for row in rows}


async def test_a_hundred_orders_for_one_piece_sell_it_once(
    workers: list[database.Transactions], order: Any
) -> None:
    await stock_up(workers, lamp=1)
    await handle_all(workers, [order(lamp=1).created() for _ in range(100)], size=1)
    assert await levels(workers) == {"lamp": (0, 1, 0)}
    assert await states(workers) == {"reserved": 1, "rejected": 99}


async def test_batches_that_want_the_same_products_in_other_orders_do_not_block_each_other(
    workers: list[database.Transactions], order: Any
) -> None:
    await stock_up(workers, a=60, b=60, c=60)
    orders = [order(a=1, b=1, c=1) if n % 2 else order(c=1, b=1, a=1) for n in range(120)]
    await handle_all(workers, [one.created() for one in orders], size=7)
    assert await levels(workers) == {"a": (0, 60, 0), "b": (0, 60, 0), "c": (0, 60, 0)}
    await handle_all(workers, [one.cancelled() for one in reversed(orders)], size=7)
    assert await levels(workers) == {"a": (60, 0, 0), "b": (60, 0, 0), "c": (60, 0, 0)}
    assert await states(workers) == {"released": 60, "rejected": 60}


async def test_creation_and_cancellation_at_once_leave_nothing_reserved(
    workers: list[database.Transactions], order: Any
) -> None:
    await stock_up(workers, lamp=50)
    orders = [order(lamp=1) for _ in range(50)]
    await handle_all(workers, [event for one in orders for event in (one.created(), one.cancelled())], size=1)
    assert await levels(workers) == {"lamp": (50, 0, 0)}


async def test_the_database_itself_refuses_a_piece_too_many(workers: list[database.Transactions]) -> None:
    await stock_up(workers, lamp=1)
    for broken in ("on_hand = -1, reserved = 2", "reserved = 1", "received = 2"):
        with pytest.raises(IntegrityError):
            async with workers[0]() as tx:
                await tx.session.execute(text(f"UPDATE stock SET {broken}"))
