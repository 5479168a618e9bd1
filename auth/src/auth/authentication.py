"""Whether a password is an account's, checked a limited number of times."""

from dataclasses import dataclass

import structlog

from auth.domain import Account, normalised_password
from auth.passwords import Passwords
from chassis.http.origin import Origin
from chassis.http.problems import Forbidden, TooManyRequests
from chassis.storage.attempts import Attempts, bucket

log = structlog.get_logger()


class WrongPassword(Forbidden):
    """403: the caller, though logged in, has to give the account's password."""

    type = "/problems/wrong-password"
    title = "Wrong password"


class TooManyWrongPasswords(TooManyRequests):
    """429: too many wrong passwords for the account, or from the network."""

    type = "/problems/too-many-attempts"


class Throttled(Exception):
    """Too many wrong passwords: wait `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"wait {seconds:.0f} s")
        self.seconds = seconds


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
class Authentication:
    """Checks passwords."""

    passwords: Passwords
    limit: LoginLimit

    async def check(self, account: Account | None, email: str, password: str, origin: Origin) -> bool:
        """Whether it is the password of the account with this address, after the same work if there is none.

        A wrong one counts as a failed login. Raises Throttled, and Unavailable at too many at once.
        """
        if wait := await self.limit.count(email, origin):
            log.warning("login throttled", network=origin.shown)
            raise Throttled(wait)
        password_hash = account.password_hash if account else None
        if not await self.passwords.verify(password_hash, normalised_password(password)):
            account_id = str(account.account_id) if account else None
            log.warning("login refused", account=account_id, network=origin.shown)
            return False
        await self.limit.forgive(email, origin)
        return True

    async def require(self, account: Account, password: str, origin: Origin) -> None:
        """Like `check`, for an account that is logged in. Raises WrongPassword, TooManyWrongPasswords."""
        try:
            is_right = await self.check(account, account.email, password, origin)
        except Throttled as throttled:
            detail = "Too many wrong passwords: wait and try again."
            raise TooManyWrongPasswords(detail, retry_after=throttled.seconds) from throttled
        if not is_right:
            raise WrongPassword("This is not the account's password.")


def _buckets(email: str, origin: Origin) -> tuple[bytes, bytes]:
    return bucket(f"{email} {origin.network}"), bucket(origin.network)
