"""Logging in, refreshing, logging out: the use cases that start, renew and end a session."""

from dataclasses import dataclass
from uuid import UUID, uuid4

import structlog

from auth.authentication import Authentication, Throttled
from auth.domain import Account, Refusal, Session, SessionRules, login_address, normalised_password
from auth.oauth import InvalidGrant, TooManyAttempts
from auth.passwords import Passwords
from auth.store import Accounts, claim_guest, end_sessions
from auth.tokens import RefreshToken, new_secret
from chassis.http.origin import Origin
from chassis.storage.database import Transactions
from contracts import GuestMerged

log = structlog.get_logger()

WRONG_CREDENTIALS = "The e-mail address or the password is wrong."
SESSION_ENDED = "The session has ended: log in again."


@dataclass(frozen=True)
class Logins:
    """Starts, renews and ends sessions."""

    transactions: Transactions
    accounts: Accounts
    passwords: Passwords
    authentication: Authentication
    rules: SessionRules

    async def log_in(
        self, email: str, password: str, guest: UUID | None, origin: Origin
    ) -> tuple[Account, RefreshToken]:
        """Start a session, and merge the guest. Raises InvalidGrant, TooManyAttempts, or Unavailable at too
        many logins."""
        token: RefreshToken | None = None
        while token is None:  # again if the password was changed after it had been checked
            account = await self._authenticate(login_address(email), password, origin)
            token = await self._start(account, password, guest)
        log.info("logged in", account=str(account.account_id), network=origin.shown)
        return account, token

    async def _authenticate(self, email: str, password: str, origin: Origin) -> Account:
        account = await self.accounts.by_email(email)
        try:
            is_right = await self.authentication.check(account, email, password, origin)
        except Throttled as throttled:
            raise TooManyAttempts(throttled.seconds) from throttled
        if account is None or not is_right:
            raise InvalidGrant(WRONG_CREDENTIALS)
        return account

    async def _start(self, account: Account, password: str, guest: UUID | None) -> RefreshToken | None:
        """Start a session; `None` if the account is not as it was when the password was checked."""
        rehashed = None
        if self.passwords.outdated(account.password_hash):
            rehashed = await self.passwords.hash(normalised_password(password))
        async with self.transactions() as tx:
            kept = await tx.get(Account, account.account_id)
            if kept is None or kept.password_hash != account.password_hash:
                return None
            kept.password_hash = rehashed or kept.password_hash
            token = RefreshToken.new(uuid4())
            expires_at = self.rules.first_expiry(tx.now)
            tx.add(Session(token.session_id, account.account_id, token.hash, tx.now, expires_at))
            if guest is not None and await claim_guest(tx.session, guest, account.account_id, tx.now):
                tx.publish(GuestMerged(guest_id=guest, user_id=account.account_id))
        return token

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

    async def log_out_everywhere(self, account_id: UUID, origin: Origin) -> None:
        """End all sessions of the account."""
        async with self.transactions() as tx:
            await end_sessions(tx.session, account_id, tx.now)
        log.info("logged out everywhere", account=str(account_id), network=origin.shown)
