"""Asking PostgreSQL which orders are off, many at a time."""

import asyncio
from collections.abc import Callable
from uuid import uuid4

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import ProgrammingError

from chassis.database import Transactions, connect
from notification.domain import Correspondence
from notification.store import Cancellations


async def test_each_asker_gets_its_own_answer_from_few_queries(migrated: Callable[[str], str]) -> None:
    engine = connect(migrated("notification"), pool_size=2, statement_timeout=10)
    off, on = [uuid4() for _ in range(20)], [uuid4() for _ in range(20)]
    async with Transactions(engine, "notification", lease=0)() as tx:
        for order_id in off:
            tx.add(Correspondence(order_id, cancelled=True))
        tx.add(Correspondence(on[0]))
    queries: list[str] = []
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *args: queries.append(args[2]))
    cancellations = Cancellations(engine)

    answers = await asyncio.gather(*(cancellations.include(order_id) for order_id in [*off, *on]))

    assert answers == [True] * 20 + [False] * 20
    assert len(queries) == 1
    assert await cancellations.include(off[0])
    await engine.dispose()


async def test_a_question_that_fails_is_no_answer_and_can_be_asked_again(
    migrated: Callable[[str], str], as_operator: Callable[[str], str]
) -> None:
    url = migrated("notification")
    engine, operator = (connect(one, pool_size=2, statement_timeout=10) for one in (url, as_operator(url)))
    cancellations = Cancellations(engine)
    async with operator.begin() as connection:
        await connection.execute(text("ALTER TABLE correspondence RENAME TO gone"))
    with pytest.raises(ProgrammingError):
        await cancellations.include(uuid4())
    async with operator.begin() as connection:
        await connection.execute(text("ALTER TABLE gone RENAME TO correspondence"))
    assert not await cancellations.include(uuid4())
    await operator.dispose()
    await engine.dispose()
