"""Old rows are deleted in batches, no others are, and no lock is waited for."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.runtime.jobs import Rule, first_id, retention
from chassis.storage.raw_sql import fetch

from .conftest import World

NOW = datetime.now(UTC)
BY_KEY = Rule("thing", key="id")
BY_TIME = Rule("thing", at="made_at")


def old(days: float, n: int = 1) -> UUID:
    return UUID(int=first_id(NOW - timedelta(days=days)).int + n)


@pytest.fixture
async def engine(world: World) -> AsyncIterator[AsyncEngine]:
    for statement in (
        "CREATE TABLE thing (id uuid PRIMARY KEY, made_at timestamptz NOT NULL DEFAULT now(), done boolean)",
        "CREATE INDEX thing_made_at ON thing (made_at)",
        "CREATE TABLE part (thing uuid)",
    ):
        await fetch(world.engine, statement)
    yield world.engine
    await fetch(world.engine, "DROP TABLE thing, part")


async def put(engine: AsyncEngine, *ids: UUID, done: bool = True) -> None:
    made = "to_timestamp((('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint) / 1000.0)"
    insert = f"INSERT INTO thing SELECT id, {made}, $2 FROM unnest($1::uuid[]) AS id"
    await fetch(engine, insert, ids, done)
    await fetch(engine, "INSERT INTO part SELECT unnest($1::uuid[])", ids)


async def left(engine: AsyncEngine) -> set[UUID]:
    return {UUID(str(row["id"])) for row in await fetch(engine, "SELECT id FROM thing")}


@pytest.mark.parametrize("rule", [BY_KEY, BY_TIME], ids=["by key", "by time"])
async def test_old_rows_are_deleted_in_batches_and_younger_ones_stay(engine: AsyncEngine, rule: Rule) -> None:
    young = {old(9, n) for n in range(3)}
    await put(engine, *young, *(old(11, n) for n in range(7)))
    assert await rule.prune(engine, NOW - timedelta(days=10), batch=3) == 7
    assert await left(engine) == young


async def test_a_key_without_a_time_stays(engine: AsyncEngine) -> None:
    random = {uuid4() for _ in range(50)} | {UUID(int=1), UUID("00000000-0000-4000-8000-000000000000")}
    await put(engine, *random, old(11))
    assert await BY_KEY.prune(engine, NOW - timedelta(days=10)) == 1
    assert await left(engine) == random


async def test_rows_outside_the_rules_condition_stay(engine: AsyncEngine) -> None:
    await put(engine, old(11), done=False)
    await put(engine, old(12))
    await Rule("thing", key="id", where="done").prune(engine, NOW)
    assert await left(engine) == {old(11)}


async def test_dependent_rows_are_deleted_with_their_row(engine: AsyncEngine) -> None:
    await put(engine, old(11), old(9))
    rule = Rule("thing", key="id", also="DELETE FROM part USING gone WHERE part.thing = gone.id")
    await rule.prune(engine, NOW - timedelta(days=10))
    assert [UUID(str(row["thing"])) for row in await fetch(engine, "SELECT thing FROM part")] == [old(9)]


async def test_a_locked_row_is_left_for_the_next_round(engine: AsyncEngine) -> None:
    await put(engine, old(11), old(12))
    async with engine.begin() as other:
        await other.execute(text("SELECT id FROM thing WHERE id = :id FOR UPDATE"), {"id": old(12)})
        assert await BY_KEY.prune(engine, NOW) == 1
    assert await left(engine) == {old(12)}
    assert await BY_KEY.prune(engine, NOW) == 1


@pytest.mark.parametrize(("days", "kept"), [(10, {old(9)}), (0, {old(9), old(11)})])
async def test_zero_days_delete_nothing(engine: AsyncEngine, days: int, kept: set[UUID]) -> None:
    await put(engine, old(9), old(11))
    await retention(engine, (BY_KEY, days)).work()
    assert await left(engine) == kept
