"""How a transaction adds, locks and publishes."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import event

from chassis.saga.tx import Cause

from ..things import Sale, ThingSold
from .conftest import World


async def test_add_once_ignores_an_existing_row(world: World) -> None:
    transactions, there, new = world.transactions(), uuid4(), uuid4()
    async with transactions() as tx:
        tx.add_once(Sale(there, 1))
    async with transactions() as tx:
        tx.add_once(Sale(there, 2))
        tx.add_once(Sale(new, 3))
        tx.add_once(Sale(new, 4))
    assert (await world.times(there), await world.times(new)) == (1, 3)


async def test_the_rows_of_a_batch_are_added_by_one_statement(world: World) -> None:
    statements: list[tuple[str, bool]] = []

    def note(_: Any, __: Any, statement: str, ___: Any, ____: Any, many: bool) -> None:
        statements.append((statement.split()[0], many))

    transactions = world.transactions()
    event.listen(world.engine.sync_engine, "before_cursor_execute", note)
    async with transactions() as tx:
        for number in range(50):
            tx.add_once(Sale(UUID(int=number), number))
    assert statements == [("INSERT", True)]
    assert await world.count("sale") == 50


async def test_get_free_skips_locked_rows(world: World) -> None:
    transactions, locked, free = world.transactions(), uuid4(), uuid4()
    async with transactions() as tx:
        tx.add(Sale(locked, 1))
        tx.add(Sale(free, 2))
    async with transactions() as other:
        assert await other.get(Sale, locked)
        async with transactions() as tx, asyncio.timeout(5):
            found = await tx.get_free(Sale, [locked, free, uuid4()])
            assert found.keys() == {free}
    async with transactions() as tx:
        assert (await tx.get_free(Sale, [locked, free])).keys() == {locked, free}


async def test_an_event_can_be_published_with_another_cause(world: World) -> None:
    cause = Cause("order.created/1", None)
    async with world.transactions()() as tx:
        tx.publish(ThingSold(id=uuid4()), cause=cause)
        assert [envelope.causation_id for envelope in tx.outbox] == ["order.created/1"]
