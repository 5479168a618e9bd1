"""Creates accounts: by registration, or for staff when the service starts."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import structlog
from sqlalchemy.exc import IntegrityError

from auth.domain import Account, Role, normalised_password
from auth.mailed_tokens import MailedTokens
from auth.passwords import Passwords
from auth.store import Accounts
from chassis.http.origin import Origin
from chassis.http.problems import Conflict, TooManyRequests
from chassis.storage.attempts import Attempts, bucket
from chassis.storage.database import Transactions
from contracts import UserRegistered

log = structlog.get_logger()


class EmailTaken(Conflict):
    """409: the address has an account."""

    type = "/problems/email-taken"
    title = "There is an account with this address"


class TooManyRegistrations(TooManyRequests):
    """429: too many registrations with addresses that are taken."""

    type = "/problems/too-many-attempts"


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


@dataclass(frozen=True)
class Registration:
    """Creates accounts and publishes `user.registered`."""

    transactions: Transactions
    accounts: Accounts
    passwords: Passwords
    tokens: MailedTokens
    conflicts: ConflictLimit

    async def register(self, email: str, password: str, origin: Origin) -> Account:
        """Create a shopper's account. Raises EmailTaken, PasswordIsAddress, TooManyRegistrations,
        Unavailable.

        The password is hashed before the address is looked up, so that the time does not show whether it is
        taken.
        """
        if wait := await self.conflicts.wait(origin):
            log.warning("registration throttled", network=origin.shown)
            raise TooManyRegistrations(
                "Too many registrations with addresses that are taken: wait and try again.", retry_after=wait
            )
        account = _new_account(email, await self.passwords.hash_new(password, email), "shopper")
        try:
            async with self.transactions() as tx:
                tx.add(account)
                await tx.flush()  # its row has to be there before that of its token
                tx.publish(UserRegistered(user_id=account.account_id, **self.tokens.issue(account, tx)))
        except IntegrityError as error:
            await self.conflicts.count(origin)
            log.warning("registration refused", network=origin.shown)
            raise EmailTaken from error
        log.info("registered", account=str(account.account_id), network=origin.shown)
        return account

    async def ensure_staff(self, role: Role, email: str, password: str) -> None:
        """Create an account of staff. An existing one is not changed: its password may have changed since."""
        known = await self.accounts.by_email(email)
        if known is None:
            hashed = await self.passwords.hash(normalised_password(password))
            created = _new_account(email, hashed, role)
            try:
                async with self.transactions() as tx:
                    tx.add(created)
            except IntegrityError:
                return  # another replica has created it
            log.info("staff account created", account=str(created.account_id), role=role)
        elif known.role != role:
            log.error(
                "address of staff belongs to another account: none created",
                account=str(known.account_id),
                role=role,
            )


def _new_account(email: str, password_hash: str, role: Role) -> Account:
    return Account(uuid4(), email, password_hash, role, datetime.now(UTC))


def _conflict_bucket(origin: Origin) -> bytes:
    """Distinct from every login's bucket: user names contain no NUL."""
    return bucket(f"registration\0{origin.network}")
