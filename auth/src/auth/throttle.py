"""How often a password may be tried, or an address be asked for."""

from dataclasses import dataclass

from chassis.http.origin import Origin
from chassis.storage.attempts import Attempts, bucket


@dataclass(frozen=True)
class Throttle:
    """At most `per_account` failures for an account from an address, and `per_address` from an address.

    Attempts are counted before the password is looked at, and given back when it was right. Nobody can lock
    an account's owner out from elsewhere.
    """

    attempts: Attempts
    per_account: int
    per_address: int

    async def count(self, email: str, origin: Origin) -> float:
        """Count an attempt. Returns the seconds to wait, 0 when it may go on."""
        account, address = _buckets(email, origin)
        return await self.attempts.count({account: self.per_account, address: self.per_address})

    async def forgive(self, email: str, origin: Origin) -> None:
        """The password was right: it was no failure."""
        account, address = _buckets(email, origin)
        await self.attempts.forgive(clear=account, give_back=address)


@dataclass(frozen=True)
class Conflicts:
    """At most `most` registrations of addresses that are taken, from a network in a window.

    Each tells that an account exists. Beyond that nobody there registers until the window is over: an answer
    would tell it still.
    """

    attempts: Attempts
    most: int

    async def wait(self, origin: Origin) -> float:
        """The seconds to wait, 0 when it may go on."""
        return await self.attempts.wait(_conflicts(origin), self.most)

    async def count(self, origin: Origin) -> None:
        """One more address turned out to be taken."""
        await self.attempts.count({_conflicts(origin): self.most})


def _conflicts(origin: Origin) -> bytes:
    """No login shares it: user names have no NUL."""
    return bucket(f"registration\0{origin.network}")


def _buckets(email: str, origin: Origin) -> tuple[bytes, bytes]:
    return bucket(f"{email} {origin.network}"), bucket(origin.network)
