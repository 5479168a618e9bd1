"""Which messages were begun: one that ends the process is found, though nobody lives to tell.

Only what was delivered again and again is noted, each in a commit of its own before its step runs.
"""

from datetime import timedelta

from sqlalchemy import Column, Integer, MetaData, Table, Text, func, text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncEngine


def table(metadata: MetaData) -> Table:
    """`times` is how often a message was begun since it last came to an end."""
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
    """Note that a message is being handled. Returns how often it was begun without an end, this time
    included."""
    async with engine.begin() as connection:
        noted = await connection.execute(_BEGIN, {"queue": queue, "fingerprint": fingerprint})
        return int(noted.scalar_one())


async def end(engine: AsyncEngine, queue: str, fingerprint: str) -> None:
    """It ended, however it did: committed, put off or dead-lettered."""
    async with engine.begin() as connection:
        await connection.execute(_END, {"queue": queue, "fingerprint": fingerprint})


async def forget(engine: AsyncEngine, keep: timedelta) -> None:
    """Delete what was begun so long ago that it came to its end elsewhere."""
    async with engine.begin() as connection:
        await connection.execute(_FORGET, {"keep": keep})
