"""A migration does not block the shop while it waits for a lock, nor does another migration disturb it."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from chassis import migrate as migrating
from chassis.migrate import migrate
from chassis.schema import create_index

SERVICE = "cart"
TABLE = "cart"


@pytest.fixture
async def other(postgres: str) -> AsyncIterator[asyncpg.Connection]:
    """The shop's own use of the database."""
    connection = await asyncpg.connect(postgres.replace("+asyncpg", ""))
    yield connection
    await connection.close()


@pytest.fixture
async def reader(postgres: str) -> AsyncIterator[asyncpg.Connection]:
    """A transaction that has read the table that the revisions after the third alter."""
    await migrate(SERVICE, postgres, "0003")
    connection = await asyncpg.connect(postgres.replace("+asyncpg", ""))
    await connection.execute(f"BEGIN; LOCK TABLE {TABLE} IN ACCESS SHARE MODE")
    yield connection
    await connection.close()


async def revision(connection: asyncpg.Connection) -> str:
    found: str = await connection.fetchval("SELECT version_num FROM alembic_version")
    return found


async def waiting(connection: asyncpg.Connection, query: str) -> None:
    """Until the query, about waiting processes, finds one."""
    async with asyncio.timeout(30):
        while not await connection.fetchval(query):
            await asyncio.sleep(0.02)


async def test_readers_go_on_while_a_migration_waits_for_a_lock(
    postgres: str, reader: asyncpg.Connection, other: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "_LOCK_TIMEOUT_MS", 200)
    running = asyncio.create_task(migrate(SERVICE, postgres))
    await waiting(other, "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'cart'::regclass")
    async with asyncio.timeout(30):
        await other.fetch(f"SELECT * FROM {TABLE}")  # it waits behind the migration, which soon lets it pass
    assert not running.done()
    await reader.execute("COMMIT")
    async with asyncio.timeout(30):
        await running
    assert await revision(other) != "0003"


async def test_a_lock_that_is_never_granted_is_an_error_and_changes_nothing(
    postgres: str, reader: asyncpg.Connection, other: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "_LOCK_TIMEOUT_MS", 50)
    monkeypatch.setattr(migrating, "_PATIENCE_SECONDS", 0.5)
    with pytest.raises(DBAPIError, match="lock timeout"):
        await migrate(SERVICE, postgres)
    assert await revision(other) == "0003"


async def test_two_migrations_of_one_database_run_one_after_the_other(
    postgres: str, other: asyncpg.Connection
) -> None:
    async with asyncio.timeout(60):
        await asyncio.gather(*(migrate(SERVICE, postgres) for _ in range(2)))
    assert int(await revision(other)) > 3


def _create_unique_index(connection: Connection) -> None:
    context = MigrationContext.configure(connection, opts={"transaction_per_migration": True})
    with Operations.context(context), context.begin_transaction(_per_migration=True):
        create_index("late", "stock (pieces)", unique=True)


async def created(postgres: str) -> None:
    engine = create_async_engine(postgres)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_create_unique_index)
    finally:
        await engine.dispose()


async def test_writers_go_on_while_an_index_is_created(postgres: str, other: asyncpg.Connection) -> None:
    await other.execute("CREATE TABLE stock (pieces int)")
    writer = await asyncpg.connect(postgres.replace("+asyncpg", ""))
    await writer.execute("BEGIN; INSERT INTO stock VALUES (1)")
    running = asyncio.create_task(created(postgres))
    await waiting(
        other, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'CREATE%'"
    )
    await other.execute("INSERT INTO stock VALUES (2)")
    await writer.execute("COMMIT")
    await writer.close()
    async with asyncio.timeout(30):
        await running
    assert await other.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = 'late'::regclass")


async def test_an_index_that_was_left_invalid_is_created_again(
    postgres: str, other: asyncpg.Connection
) -> None:
    await other.execute("CREATE TABLE stock (pieces int); INSERT INTO stock VALUES (1), (1)")
    with pytest.raises(DBAPIError, match="could not create unique index"):
        await created(postgres)
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'late'::regclass"
    assert await other.fetchval(valid) is False
    await other.execute("DELETE FROM stock WHERE ctid = '(0,1)'")
    await created(postgres)
    assert await other.fetchval(valid)
