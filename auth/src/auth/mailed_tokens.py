"""Tokens that are mailed to an account's address: who has one reads that mail.

A token is stored as a hash, and encrypted in the event that notification mails it by. Several may be valid at
once, since a shopper who asks twice may use the first mail; with the first that is used, all are gone.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from auth.domain import Account, MailedToken, Purpose
from auth.store import Accounts, delete_tokens
from auth.tokens import mailed_token_hash, new_mailed_token
from chassis.http.origin import Origin
from chassis.http.problems import TooManyRequests, Unprocessable
from chassis.messaging.encryption import Cipher
from chassis.storage.attempts import Attempts, bucket
from chassis.storage.tx import SqlTx
from contracts import ConfirmationRequested, PasswordResetRequested

TokenMail = PasswordResetRequested | ConfirmationRequested


class TokenNotValid(Unprocessable):
    """422: the token is unknown, expired, or was used; which of them is not said."""

    type = "/problems/token-not-valid"
    title = "The token is not valid"

    def __init__(self) -> None:
        super().__init__("It is unknown, has expired or was used: ask for another mail.")


class TooManyMails(TooManyRequests):
    """429: too many mails were asked for."""

    type = "/problems/too-many-attempts"


@dataclass(frozen=True)
class MailLimit:
    """At most `per_address` mails to an address and `per_network` requests from a network in a window."""

    attempts: Attempts
    per_address: int
    per_network: int

    async def count_request(self, origin: Origin) -> None:
        """Count a request for a mail. Raises TooManyMails."""
        if wait := await self.attempts.count({bucket(f"mails from\0{origin.network}"): self.per_network}):
            raise TooManyMails("Too many requests for mails: wait and try again.", retry_after=wait)

    async def count_mail(self, email: str) -> float:
        """Count a mail to the address. Returns the seconds to wait, 0 if it may be sent."""
        return await self.attempts.count({bucket(f"mails to\0{email}"): self.per_address})


@dataclass(frozen=True)
class MailedTokens:
    """Tokens for one purpose, valid for `lifetime`."""

    accounts: Accounts
    cipher: Cipher
    purpose: Purpose
    lifetime: timedelta

    def issue(self, account: Account, tx: SqlTx) -> dict[str, Any]:
        """Store a new token. Returns what an event has to say of it: `contact`, `token` and `expires_at`."""
        token, expires_at = new_mailed_token(), tx.now + self.lifetime
        tx.add(MailedToken(mailed_token_hash(token), account.account_id, self.purpose, expires_at))
        contact, encrypted = (self.cipher.encrypt(text) for text in (account.email, token))
        return {"contact": contact, "token": encrypted, "expires_at": expires_at}

    async def mail(self, account: Account, tx: SqlTx, event: type[TokenMail]) -> None:
        """Publish the event by which notification mails a new token, unless the account is gone."""
        kept = await tx.get(Account, account.account_id)
        if kept is not None:
            tx.publish(event(request_id=uuid4(), user_id=kept.account_id, **self.issue(kept, tx)))

    async def find_account(self, token: str) -> Account:
        """The account that the token was mailed to. Raises TokenNotValid."""
        found = await self.accounts.of_token(mailed_token_hash(token), self.purpose, datetime.now(UTC))
        if found is None:
            raise TokenNotValid
        return found

    async def use(self, token: str, account: Account, tx: SqlTx) -> Account:
        """Lock the account, as everything that changes its sessions or tokens does first, and use the token,
        so that all are gone. Raises TokenNotValid if another request has used it meanwhile."""
        kept = await tx.get(Account, account.account_id)
        if kept is None or await tx.get(MailedToken, mailed_token_hash(token)) is None:
            raise TokenNotValid
        await delete_tokens(tx.session, account.account_id, self.purpose)
        return kept
