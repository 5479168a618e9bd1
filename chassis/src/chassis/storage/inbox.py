"""The inbox: the ids of the messages that a queue's steps have handled, claimed in the transaction that
handles them.

Beside it, `started` counts how often the handling of a message began without ending, to find messages that
crash the process. Only messages that were redelivered many times are recorded there, each in a commit of its
own before its step runs.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import Column, CursorResult, Index, Integer, MetaData, Table, Text, func, text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession


def table(metadata: MetaData) -> Table:
    """Define the table in the service's metadata: a row for each message that a queue has handled."""
    return Table(
        "inbox",
        metadata,
        Column("queue", Text, primary_key=True),
        Column("message_id", Text, primary_key=True),
        Column("seen_at", TIMESTAMP(timezone=True), nullable=False, server_default=func.now()),
        Index("inbox_seen_at", "seen_at"),
    )


_CLAIM = text("""
    INSERT INTO inbox (queue, message_id)
    SELECT :queue, id FROM unnest(CAST(:ids AS text[])) AS id ORDER BY id
    ON CONFLICT DO NOTHING RETURNING message_id
""")


async def claim(session: AsyncSession, queue: str, ids: Sequence[str]) -> set[str]:
    """Claim messages for this transaction. Returns the ids that no transaction has handled before; a rollback
    releases the claim."""
    result = await session.execute(_CLAIM, {"queue": queue, "ids": ids})
    return set(result.scalars())


# Rows are deleted by `ctid`: by their keys, PostgreSQL would look up each of them in the index again.
_PRUNE = text("""
    WITH relaxed AS (SELECT set_config('synchronous_commit', 'off', true))
    DELETE FROM inbox USING relaxed WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM inbox WHERE seen_at < now() - CAST(:keep AS interval)
        ORDER BY seen_at LIMIT :limit FOR UPDATE SKIP LOCKED))
""")


async def prune(engine: AsyncEngine, keep: timedelta, *, limit: int = 5000) -> int:
    """Delete up to `limit` rows older than `keep`, after which no repeat is expected. Returns how many."""
    async with engine.begin() as connection:
        result = await connection.execute(_PRUNE, {"keep": keep, "limit": limit})
        return cast("CursorResult[Any]", result).rowcount


def started_table(metadata: MetaData) -> Table:
    """Define the table in the service's metadata. `times` is how often the handling of a message began; the
    row is deleted when the handling ends."""
    return Table(
        "started",
        metadata,
        Column("queue", Text, primary_key=True),
        Column("fingerprint", Text, primary_key=True),
        Column("times", Integer, nullable=False, server_default="1"),
        Column("started_at", TIMESTAMP(timezone=True), nullable=False, server_default=func.now()),
    )


_BEGIN = text("""
    INSERT INTO started (queue, fingerprint) VALUES (:queue, :fingerprint)
    ON CONFLICT (queue, fingerprint) DO UPDATE SET times = started.times + 1, started_at = now()
    RETURNING times
""")
_END = text("DELETE FROM started WHERE queue = :queue AND fingerprint = :fingerprint")
_PRUNE_STARTED = text("DELETE FROM started WHERE started_at < now() - CAST(:keep AS interval)")


async def begin(engine: AsyncEngine, queue: str, fingerprint: str) -> int:
    """Record that handling begins. Returns how often it began without ending, this time included."""
    async with engine.begin() as connection:
        times = await connection.execute(_BEGIN, {"queue": queue, "fingerprint": fingerprint})
        return int(times.scalar_one())


async def end(engine: AsyncEngine, queue: str, fingerprint: str) -> None:
    """Record that the handling ended: the message was committed, is retried later, or was dead-lettered."""
    async with engine.begin() as connection:
        await connection.execute(_END, {"queue": queue, "fingerprint": fingerprint})


async def prune_started(engine: AsyncEngine, keep: timedelta) -> None:
    """Delete records older than `keep`: those messages have left the queue in another way."""
    async with engine.begin() as connection:
        await connection.execute(_PRUNE_STARTED, {"keep": keep})
