"""A new password: by a token that was mailed, or with the present password. Other sessions end."""

import asyncio
import time
from dataclasses import dataclass
from uuid import UUID, uuid4

import structlog

from auth.authentication import Authentication, WrongPassword
from auth.domain import Account, Session
from auth.mailed_tokens import MailedTokens, MailLimit
from auth.passwords import Passwords
from auth.store import Accounts, delete_tokens, end_sessions
from auth.tokens import RefreshToken
from chassis.http.origin import Origin
from chassis.http.problems import NotFound
from chassis.storage.database import Transactions
from chassis.storage.tx import SqlTx
from contracts import PasswordChanged, PasswordResetRequested

log = structlog.get_logger()

ANSWER_SECONDS = 0.25
"""A request for a reset is answered after so long, so that the time does not show whether there is an
account: the work for one takes a few milliseconds more."""


@dataclass(frozen=True)
class PasswordChanges:
    """Resets and changes passwords, and publishes `user.password_changed`."""

    transactions: Transactions
    accounts: Accounts
    passwords: Passwords
    authentication: Authentication
    tokens: MailedTokens
    limit: MailLimit

    async def request_reset(self, email: str, origin: Origin) -> None:
        """Have a token mailed to the address if it has an account. Raises TooManyMails.

        Beyond the limit of mails to one address nothing is mailed, and nothing says so: the limit would tell
        that somebody else asked, and the shopper has the mails from before.
        """
        begun = time.monotonic()
        await self.limit.count_request(origin)
        account = await self.accounts.by_email(email)
        is_throttled = await self.limit.count_mail(email)
        if account is not None and not is_throttled:
            async with self.transactions() as tx:
                await self.tokens.mail(account, tx, PasswordResetRequested)
        account_id = str(account.account_id) if account else None
        outcome = "throttled" if is_throttled else "mailed" if account else "no account"
        log.info("password reset requested", account=account_id, outcome=outcome, network=origin.shown)
        await asyncio.sleep(begun + ANSWER_SECONDS - time.monotonic())

    async def reset(self, token: str, password: str, origin: Origin) -> None:
        """Set the password of the account that the token was mailed to, and end all its sessions. Who has the
        token reads the account's mail, so the address is confirmed by that. Raises TokenNotValid,
        PasswordIsAddress, Unavailable."""
        account = await self.tokens.find_account(token)
        hashed = await self.passwords.hash_new(password, account.email)
        async with self.transactions() as tx:
            kept = await self.tokens.use(token, account, tx)
            kept.confirm(tx.now)
            self._set(kept, hashed, tx)
            await end_sessions(tx.session, kept.account_id, tx.now)
        # Who has forgotten a password has tried some: the new one must not be throttled for that.
        await self.authentication.limit.forgive(account.email, origin)
        log.info("password reset", account=str(account.account_id), network=origin.shown)

    async def change(
        self, account_id: UUID, present: str, password: str, refresh_token: str | None, origin: Origin
    ) -> None:
        """Replace the password `present`, and end all sessions but that of the refresh token. Raises
        NotFound, WrongPassword, TooManyWrongPasswords, PasswordIsAddress, Unavailable."""
        account = await self.accounts.by_id(account_id)
        if account is None:
            raise NotFound("Account not found.")
        await self.authentication.require(account, present, origin)
        hashed = await self.passwords.hash_new(password, account.email)
        async with self.transactions() as tx:
            kept = await tx.get(Account, account_id)
            if kept is None or kept.password_hash != account.password_hash:
                raise WrongPassword("The password was changed meanwhile.")
            self._set(kept, hashed, tx)
            await delete_tokens(tx.session, account_id, self.tokens.purpose)
            held = await _session_held(refresh_token, account_id, tx)
            await end_sessions(tx.session, account_id, tx.now, but=held)
        log.info("password changed", account=str(account_id), network=origin.shown)

    def _set(self, account: Account, password_hash: str, tx: SqlTx) -> None:
        account.password_hash = password_hash
        contact = self.tokens.cipher.encrypt(account.email)
        tx.publish(PasswordChanged(request_id=uuid4(), user_id=account.account_id, contact=contact))


async def _session_held(refresh_token: str | None, account_id: UUID, tx: SqlTx) -> UUID | None:
    """The account's session that the refresh token belongs to."""
    token = RefreshToken.parse(refresh_token or "")
    session = await tx.get(Session, token.session_id) if token else None
    if token is None or session is None or session.account_id != account_id:
        return None
    return session.session_id if session.is_held_by(token.secret) else None
