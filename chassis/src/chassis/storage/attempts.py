"""Limits how often something may be tried. The counts are in the database, so all copies of a service share
them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Column, DateTime, Integer, LargeBinary, MetaData, Table, text
from sqlalchemy.ext.asyncio import AsyncEngine

_COUNT = text("""
    INSERT INTO attempt AS a (bucket, attempts, resets_at)
    SELECT bucket, 1, now() + :window * interval '1 second'
    FROM unnest(CAST(:buckets AS bytea[])) AS bucket ORDER BY bucket
    ON CONFLICT (bucket) DO UPDATE SET
        attempts = CASE WHEN a.resets_at <= now() THEN 1 ELSE a.attempts + 1 END,
        resets_at = CASE WHEN a.resets_at <= now() THEN excluded.resets_at ELSE a.resets_at END
    RETURNING bucket, attempts, extract(epoch FROM resets_at - now()) AS seconds
""")
_GIVE_BACK = text("UPDATE attempt SET attempts = attempts - 1 WHERE bucket = :bucket AND attempts > 0")
_CLEAR = text("DELETE FROM attempt WHERE bucket = :bucket")
_WAIT = text("""
    SELECT extract(epoch FROM resets_at - now()) FROM attempt
    WHERE bucket = :bucket AND attempts >= :most AND resets_at > now()
""")
_PRUNE = text("DELETE FROM attempt WHERE resets_at <= now()")


def attempts_table(metadata: MetaData) -> Table:
    """Define the counts' table in the service's metadata."""
    return Table(
        "attempt",
        metadata,
        Column("bucket", LargeBinary, primary_key=True),
        Column("attempts", Integer, nullable=False),
        Column("resets_at", DateTime(timezone=True), nullable=False),
    )


def bucket(what: str) -> bytes:
    """The key under which attempts at `what` are counted: a hash, to store no personal data."""
    return hashlib.sha256(what.encode()).digest()


@dataclass(frozen=True)
class Attempts:
    """Counts attempts in fixed windows.

    An attempt is counted before it is made, so that many at once cannot pass the limit, and is subtracted
    again if it succeeded.

    `window`: the length of a window in seconds; it begins with a bucket's first attempt.
    """

    engine: AsyncEngine
    window: float

    async def count(self, limits: Mapping[bytes, int]) -> float:
        """Count one attempt in each bucket. Returns the seconds to wait, 0 when none is over its limit."""
        async with self.engine.begin() as connection:
            rows = await connection.execute(_COUNT, {"buckets": list(limits), "window": self.window})
            return max((float(r.seconds) for r in rows if r.attempts > limits[r.bucket]), default=0)

    async def forgive(self, clear: bytes, give_back: bytes) -> None:
        """The attempt succeeded: reset the bucket `clear`, and subtract the attempt from `give_back`."""
        async with self.engine.begin() as connection:
            await connection.execute(_CLEAR, {"bucket": clear})
            await connection.execute(_GIVE_BACK, {"bucket": give_back})

    async def wait(self, counted: bytes, most: int) -> float:
        """The seconds until the bucket is below `most` attempts again; 0 if it is now."""
        async with self.engine.connect() as connection:
            return float(await connection.scalar(_WAIT, {"bucket": counted, "most": most}) or 0)

    async def prune(self) -> None:
        """Delete the counts whose window is over."""
        async with self.engine.begin() as connection:
            await connection.execute(_PRUNE)
