"""Workers of product on a real PostgreSQL, as its consumers are."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from chassis.storage import database
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
