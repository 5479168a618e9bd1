"""Limits on login attempts and on registrations with taken addresses."""

from dataclasses import dataclass

from chassis.http.origin import Origin
from chassis.storage.attempts import Attempts, bucket


@dataclass(frozen=True)
class LoginLimit:
    """At most `per_account` failures for an account from a network, and `per_address` from a network in all.

    Attempts are counted before the password is checked, and taken back if it is right. Failures from one
    network do not lock an account's owner out on another.
    """

    attempts: Attempts
    per_account: int
    per_address: int

    async def count(self, email: str, origin: Origin) -> float:
        """Count an attempt. Returns the seconds to wait, 0 if it may proceed."""
        account, address = _buckets(email, origin)
        return await self.attempts.count({account: self.per_account, address: self.per_address})

    async def forgive(self, email: str, origin: Origin) -> None:
        """Take the attempt back: the password was right."""
        account, address = _buckets(email, origin)
        await self.attempts.forgive(clear=account, give_back=address)


@dataclass(frozen=True)
class ConflictLimit:
    """At most `limit` registrations with taken addresses from a network in a window.

    Each of them reveals that an account exists. Beyond the limit the network cannot register at all until the
    window ends: any other response would still reveal it.
    """

    attempts: Attempts
    limit: int

    async def wait(self, origin: Origin) -> float:
        """The seconds to wait, 0 if a registration may proceed."""
        return await self.attempts.wait(_conflict_bucket(origin), self.limit)

    async def count(self, origin: Origin) -> None:
        """Count a registration with a taken address."""
        await self.attempts.count({_conflict_bucket(origin): self.limit})


def _conflict_bucket(origin: Origin) -> bytes:
    """Distinct from every login's bucket: user names contain no NUL."""
    return bucket(f"registration\0{origin.network}")


def _buckets(email: str, origin: Origin) -> tuple[bytes, bytes]:
    return bucket(f"{email} {origin.network}"), bucket(origin.network)
