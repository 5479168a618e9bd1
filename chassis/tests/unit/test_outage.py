"""Which errors of the drivers count as an outage."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from chassis.storage.database import connect
from chassis.storage.raw_sql import fetch, is_outage

_FATAL = "SFATAL\0C57P03\0Mthe database system is not yet accepting connections\0\0"


@asynccontextmanager
async def database_that(folder: Path, answer: Callable[[asyncio.StreamWriter], None]) -> AsyncIterator[str]:
    """Runs a server on a socket like PostgreSQL's, and yields its URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        answer(writer)
        writer.close()

    async with await asyncio.start_unix_server(serve, folder / ".s.PGSQL.5432"):
        yield f"postgresql+asyncpg://nobody:x@/nothing?host={folder}"


def hang_up(writer: asyncio.StreamWriter) -> None:
    """connection was closed"""
    writer.transport.abort()


def not_yet_up(writer: asyncio.StreamWriter) -> None:
    """not yet accepting connections"""
    writer.write(b"E" + (len(_FATAL) + 4).to_bytes(4, "big") + _FATAL.encode())


@pytest.mark.parametrize("answer", [hang_up, not_yet_up])
async def test_a_database_that_closes_connections_or_is_starting_is_an_outage(
    answer: Callable[[asyncio.StreamWriter], None], tmp_path: Path
) -> None:
    async with database_that(tmp_path, answer) as url:
        engine = connect(url, pool_size=2, statement_timeout=5)
        with pytest.raises(Exception, match=answer.__doc__) as through_sqlalchemy:
            await engine.connect()
        with pytest.raises(Exception, match=answer.__doc__) as past_it:
            await fetch(engine, "SELECT 1")
        await engine.dispose()
    assert is_outage(through_sqlalchemy.value)
    assert is_outage(past_it.value)


def test_a_connection_that_ends_under_a_statement_is_an_outage() -> None:
    assert is_outage(
        asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress")
    )


@pytest.mark.parametrize("error", [asyncpg.UniqueViolationError("twice"), ValueError("odd")])
def test_an_error_of_the_statement_is_no_outage(error: Exception) -> None:
    assert not is_outage(error)
