"""The inbox: which messages a queue has handled, claimed in the transaction that handles them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import Column, CursorResult, Index, MetaData, Table, Text, func, text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession


def table(metadata: MetaData) -> Table:
    """One row for each message that a queue's steps have handled."""
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
    """The ids that nobody has handled yet, claimed until this transaction ends either way."""
    result = await session.execute(_CLAIM, {"queue": queue, "ids": ids})
    return set(result.scalars())


# By place: the key would be looked up again for each.
_FORGET = text("""
    WITH relaxed AS (SELECT set_config('synchronous_commit', 'off', true))
    DELETE FROM inbox USING relaxed WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM inbox WHERE seen_at < now() - CAST(:keep AS interval)
        ORDER BY seen_at LIMIT :limit FOR UPDATE SKIP LOCKED))
""")


async def forget(engine: AsyncEngine, keep: timedelta, *, limit: int = 5000) -> int:
    """Delete what was seen longer ago than any repeat can come. Returns how many rows went."""
    async with engine.begin() as connection:
        result = await connection.execute(_FORGET, {"keep": keep, "limit": limit})
        return cast("CursorResult[Any]", result).rowcount
