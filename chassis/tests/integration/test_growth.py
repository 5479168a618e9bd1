"""An hour's backlog: polls and purges read only the rows that they take, not the whole table."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from chassis.saga.intents import lease_available
from chassis.storage import inbox

from .conftest import World
from .test_outbox import relay_of

MANY = 20_000


@pytest.mark.parametrize("table", ["outbox", "intent", "inbox"])
async def test_a_round_does_not_read_the_whole_table(world: World, table: str) -> None:
    fill = {
        "outbox": "INSERT INTO outbox (message_id, type, version, subject, time, data, leased_until)"
        " SELECT 'a/' || i, 'a', 1, gen_random_uuid(), now(), '{}', now() - i * interval '1 s'",
        "intent": "INSERT INTO intent (key, kind, subject, payload, leased_until)"
        " SELECT 'a/' || i, 'a', gen_random_uuid(), '{}', now() - i * interval '1 s'",
        "inbox": "INSERT INTO inbox (queue, message_id, seen_at)"
        " SELECT 'a', 'a/' || i, now() - i * interval '1 s'",
    }
    async with world.engine.begin() as connection:
        await connection.execute(text(f"{fill[table]} FROM generate_series(1, {MANY}) AS i"))
        await connection.execute(text(f"ANALYZE {table}"))
    before = await reads(world, table)
    relay = relay_of(world, None)
    for _ in range(3):
        match table:
            case "outbox":
                assert len(await relay._lease_available()) == 9
            case "intent":
                assert len(await lease_available(world.engine, 10, 50, world.transactions().holder)) == 50
            case "inbox":
                assert await inbox.prune(world.engine, timedelta(seconds=MANY / 2), limit=50) == 50
    assert await reads(world, table) - before < MANY / 2


async def reads(world: World, table: str) -> int:
    """The number of rows that sequential scans have read, and of entries that index scans have read."""
    async with world.engine.connect() as connection:
        await connection.execute(text("SELECT pg_stat_force_next_flush()"))
    async with world.engine.connect() as connection:
        scanned = text("SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = :table")
        return int((await connection.execute(scanned, {"table": table})).scalar_one())


async def test_all_old_inbox_rows_are_deleted_in_one_round(world: World) -> None:
    """However many there are: rounds go on until none is left."""
    old = f"SELECT 'a', 'a/' || i, now() - interval '15 d' FROM generate_series(1, {MANY}) AS i"
    async with world.engine.begin() as connection:
        await connection.execute(text(f"INSERT INTO inbox (queue, message_id, seen_at) {old}"))
    worker = await world.start()
    await worker._prune_inbox().work()
    assert await world.count("inbox") == 0
