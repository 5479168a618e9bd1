"""Adding what may be there already."""

from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import event

from .conftest import Sale, World


async def test_a_row_that_is_there_is_not_added_again_and_fails_nobody(world: World) -> None:
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
