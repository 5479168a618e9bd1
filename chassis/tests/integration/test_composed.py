"""One statement composed of parts with their own parameters, committed as a whole or not at all."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.storage.database import connect
from chassis.storage.raw_sql import Part, compose, run

_SEATS = "INSERT INTO seat (room, number) SELECT :room, :number FROM free WHERE free.wanted RETURNING true"


@pytest.fixture
async def engine(postgres: str) -> AsyncIterator[AsyncEngine]:
    engine = connect(postgres, pool_size=1, statement_timeout=10)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE seat (room text, number int PRIMARY KEY)"))
        await connection.execute(text("CREATE TABLE note (room text)"))
    yield engine
    await engine.dispose()


def parts(number: int, *, wanted: bool = True, called: list[str]) -> list[Part]:
    return [
        Part("free", "SELECT :wanted::boolean AS wanted, 7 AS left", {"wanted": wanted}),
        Part("seat", _SEATS, {"room": "A", "number": number}, lambda: called.append("seat")),
        Part("note", "INSERT INTO note SELECT :room::text FROM seat RETURNING true", {"room": "B"}),
    ]


async def count(engine: AsyncEngine, table: str) -> int:
    async with engine.connect() as connection:
        return int(await connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


async def test_each_part_has_its_own_parameters_and_sees_the_parts_before(engine: AsyncEngine) -> None:
    called: list[str] = []
    row = await run(engine, parts(1, called=called), "free.left FROM free")
    assert (row["left"], called) == (7, ["seat"])
    assert (await count(engine, "seat"), await count(engine, "note")) == (1, 1)


async def test_parts_after_one_without_a_row_have_no_effect(engine: AsyncEngine) -> None:
    called: list[str] = []
    await run(engine, parts(1, wanted=False, called=called), "free.left FROM free")
    assert called == []
    assert (await count(engine, "seat"), await count(engine, "note")) == (0, 0)


async def test_a_failing_part_rolls_everything_back(engine: AsyncEngine) -> None:
    called: list[str] = []
    await run(engine, parts(1, called=called), "free.left FROM free")
    with pytest.raises(asyncpg.UniqueViolationError):
        await run(engine, parts(1, called=called), "free.left FROM free")
    assert called == ["seat"]
    assert await count(engine, "note") == 1


def test_a_cast_is_no_parameter_and_a_repeated_parameter_is_sent_once() -> None:
    given: Any = (("a", "SELECT :x::int, :x"), ("b", "SELECT :x, ':'"))
    sql, names = compose(given, "a.* FROM a", ("b",))
    assert sql == (
        "WITH a AS (SELECT $1::int, $1), b AS (SELECT $2, ':') "
        "SELECT a.*, EXISTS (SELECT FROM b) AS did_b FROM a"
    )
    assert names == ((0, "x"), (1, "x"))
