"""Counts how often the handling of a message began without ending, to find messages that crash the process.

Only messages that were redelivered many times are recorded, each in a commit of its own before its step runs.
"""

from datetime import timedelta

from sqlalchemy import Column, Integer, MetaData, Table, Text, func, text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncEngine


def table(metadata: MetaData) -> Table:
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
_FORGET = text("DELETE FROM started WHERE started_at < now() - CAST(:keep AS interval)")


async def begin(engine: AsyncEngine, queue: str, fingerprint: str) -> int:
    """Record that handling begins. Returns how often it began without ending, this time included."""
    async with engine.begin() as connection:
        times = await connection.execute(_BEGIN, {"queue": queue, "fingerprint": fingerprint})
        return int(times.scalar_one())


async def end(engine: AsyncEngine, queue: str, fingerprint: str) -> None:
    """Record that the handling ended: the message was committed, is retried later, or was dead-lettered."""
    async with engine.begin() as connection:
        await connection.execute(_END, {"queue": queue, "fingerprint": fingerprint})


async def forget(engine: AsyncEngine, keep: timedelta) -> None:
    """Delete records older than `keep`: those messages have left the queue in another way."""
    async with engine.begin() as connection:
        await connection.execute(_FORGET, {"keep": keep})
