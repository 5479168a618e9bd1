"""How often a password may be tried, or an address be asked for: counted in the database, so that replicas
share one count."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from auth.origin import Origin

_COUNT = text("""
    INSERT INTO attempt AS a (bucket, attempts, resets_at)
    SELECT bucket, 1, now() + :window * interval '1 second'
    FROM unnest(CAST(:buckets AS bytea[])) AS bucket ORDER BY bucket
    ON CONFLICT (bucket) DO UPDATE SET
        attempts = CASE WHEN a.resets_at <= now() THEN 1 ELSE a.attempts + 1 END,
        resets_at = CASE WHEN a.resets_at <= now() THEN excluded.resets_at ELSE a.resets_at END
    RETURNING bucket, attempts, extract(epoch FROM resets_at - now()) AS seconds
""")
_FORGIVE = text("UPDATE attempt SET attempts = attempts - 1 WHERE bucket = :address AND attempts > 0")
_CLEAR = text("DELETE FROM attempt WHERE bucket = :account")
_WAIT = text("""
    SELECT extract(epoch FROM resets_at - now()) FROM attempt
    WHERE bucket = :bucket AND attempts >= :most AND resets_at > now()
""")
_FORGET = text("DELETE FROM attempt WHERE resets_at <= now()")


@dataclass(frozen=True)
class Throttle:
    """At most `per_account` failures for an account from an address, and `per_address` from an address.

    A fixed window of `window` seconds begins with the first attempt. Attempts are counted before the
    password is looked at, so that trying many at once gains nothing, and given back when it was right.
    Nobody can lock an account's owner out from elsewhere.
    """

    engine: AsyncEngine
    per_account: int
    per_address: int
    window: float

    async def count(self, email: str, origin: Origin) -> float:
        """Count an attempt. Returns the seconds to wait, 0 when it may go on."""
        account, address = _buckets(email, origin)
        limits = {account: self.per_account, address: self.per_address}
        async with self.engine.begin() as connection:
            rows = await connection.execute(_COUNT, {"buckets": list(limits), "window": self.window})
            return max((float(r.seconds) for r in rows if r.attempts > limits[r.bucket]), default=0)

    async def forgive(self, email: str, origin: Origin) -> None:
        """The password was right: it was no failure."""
        account, address = _buckets(email, origin)
        async with self.engine.begin() as connection:
            await connection.execute(_CLEAR, {"account": account})
            await connection.execute(_FORGIVE, {"address": address})

    async def forget(self) -> None:
        """Drop counts whose window is over."""
        async with self.engine.begin() as connection:
            await connection.execute(_FORGET)


@dataclass(frozen=True)
class Conflicts:
    """At most `most` registrations of addresses that are taken, from a network in `window` seconds.

    Each tells that an account exists. Beyond that nobody there registers until the window is over: an answer
    would tell it still.
    """

    engine: AsyncEngine
    most: int
    window: float

    async def wait(self, origin: Origin) -> float:
        """The seconds to wait, 0 when it may go on."""
        async with self.engine.connect() as connection:
            asked = {"bucket": _conflicts(origin), "most": self.most}
            return float(await connection.scalar(_WAIT, asked) or 0)

    async def count(self, origin: Origin) -> None:
        """One more address turned out to be taken."""
        async with self.engine.begin() as connection:
            await connection.execute(_COUNT, {"buckets": [_conflicts(origin)], "window": self.window})


def _conflicts(origin: Origin) -> bytes:
    """No login shares it: user names have no NUL."""
    return hashlib.sha256(f"registration\0{origin.network}".encode()).digest()


def _buckets(email: str, origin: Origin) -> Sequence[bytes]:
    """Hashed: the table shows neither who exists nor who tried."""
    return [hashlib.sha256(key.encode()).digest() for key in (f"{email} {origin.network}", origin.network)]
