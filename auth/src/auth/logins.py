"""Logging in, refreshing, logging out: the use cases that start, renew and end a session."""

from dataclasses import dataclass
from uuid import UUID, uuid4

import structlog

from auth.domain import Account, Refusal, Session, SessionRules, login_address, normalised_password
from auth.oauth import InvalidGrant, TooManyAttempts
from auth.passwords import Passwords
from auth.store import Accounts, claim_guest
from auth.tokens import RefreshToken, new_secret
from chassis.http.origin import Origin
from chassis.storage.attempts import Attempts, bucket
from chassis.storage.database import Transactions
from contracts import GuestMerged

log = structlog.get_logger()

WRONG_CREDENTIALS = "The e-mail address or the password is wrong."
SESSION_ENDED = "The session has ended: log in again."


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
        account, address = _login_buckets(email, origin)
        return await self.attempts.count({account: self.per_account, address: self.per_address})

    async def forgive(self, email: str, origin: Origin) -> None:
        """Take the attempt back: the password was right."""
        account, address = _login_buckets(email, origin)
        await self.attempts.forgive(clear=account, give_back=address)


@dataclass(frozen=True)
class Logins:
    """Starts, renews and ends sessions."""

    transactions: Transactions
    accounts: Accounts
    passwords: Passwords
    limit: LoginLimit
    rules: SessionRules

    async def log_in(
        self, email: str, password: str, guest: UUID | None, origin: Origin
    ) -> tuple[Account, RefreshToken]:
        """Start a session, and merge the guest. Raises InvalidGrant, TooManyAttempts, or Unavailable at too
        many logins."""
        email, password = login_address(email), normalised_password(password)
        account = await self._authenticate(email, password, origin)
        rehashed = None
        if self.passwords.outdated(account.password_hash):
            rehashed = await self.passwords.hash(password)
        async with self.transactions() as tx:
            token = RefreshToken.new(uuid4())
            expires_at = self.rules.first_expiry(tx.now)
            tx.add(Session(token.session_id, account.account_id, token.hash, tx.now, expires_at))
            if guest is not None and await claim_guest(tx.session, guest, account.account_id, tx.now):
                tx.publish(GuestMerged(guest_id=guest, user_id=account.account_id))
            if rehashed is not None and (kept := await tx.get(Account, account.account_id)):
                kept.password_hash = rehashed
        await self.limit.forgive(email, origin)
        log.info("logged in", account=str(account.account_id), network=origin.shown)
        return account, token

    async def renew(self, presented: str, origin: Origin) -> tuple[Account, RefreshToken]:
        """Exchange a refresh token for its successor. Raises InvalidGrant."""
        token = RefreshToken.parse(presented)
        if token is None:
            raise InvalidGrant(SESSION_ENDED)
        async with self.transactions() as tx:
            session = await tx.get(Session, token.session_id)
            result: bytes | Refusal = "over"
            if session is not None:
                result = session.renew(token.secret, new_secret(), tx.now, self.rules)
        if session is None or not isinstance(result, bytes):
            account_id = str(session.account_id) if session else None
            if result == "reused":
                log.error("refresh token reused, session ended", account=account_id, network=origin.shown)
            else:
                log.info("refresh refused", account=account_id, network=origin.shown)
            raise InvalidGrant(SESSION_ENDED)
        account = await self.accounts.by_id(session.account_id)
        if account is None:
            raise InvalidGrant(SESSION_ENDED)
        return account, RefreshToken(session.session_id, result)

    async def log_out(self, presented: str, origin: Origin) -> None:
        """End the session of any of its refresh tokens, the latest or not. Source: RFC 7009."""
        token = RefreshToken.parse(presented)
        if token is None:
            return
        async with self.transactions() as tx:
            session = await tx.get(Session, token.session_id)
            if session is not None:
                session.end(tx.now)
        if session is not None:
            log.info("logged out", account=str(session.account_id), network=origin.shown)

    async def _authenticate(self, email: str, password: str, origin: Origin) -> Account:
        if wait := await self.limit.count(email, origin):
            log.warning("login throttled", network=origin.shown)
            raise TooManyAttempts(wait)
        account = await self.accounts.by_email(email)
        matches = await self.passwords.verify(account.password_hash if account else None, password)
        if account is None or not matches:
            account_id = str(account.account_id) if account else None
            log.warning("login refused", account=account_id, network=origin.shown)
            raise InvalidGrant(WRONG_CREDENTIALS)
        return account


def _login_buckets(email: str, origin: Origin) -> tuple[bytes, bytes]:
    return bucket(f"{email} {origin.network}"), bucket(origin.network)
