"""Confirming an account's address: with the token of the mail that welcomes it, or of another."""

from dataclasses import dataclass
from uuid import UUID

import structlog

from auth.mailed_tokens import MailedTokens, MailLimit, TooManyMails
from chassis.http.origin import Origin
from chassis.http.problems import Conflict, NotFound
from chassis.storage.database import Transactions
from contracts import ConfirmationRequested

log = structlog.get_logger()


class AlreadyConfirmed(Conflict):
    """409: the address is confirmed."""

    type = "/problems/already-confirmed"
    title = "The address is confirmed"


@dataclass(frozen=True)
class Confirmations:
    """Confirms addresses. An account whose address is not confirmed may do all that others may."""

    transactions: Transactions
    tokens: MailedTokens
    limit: MailLimit

    async def request_mail(self, account_id: UUID, origin: Origin) -> None:
        """Have another token mailed. Raises NotFound, AlreadyConfirmed, TooManyMails."""
        await self.limit.count_request(origin)
        account = await self.tokens.accounts.by_id(account_id)
        if account is None:
            raise NotFound("Account not found.")
        if account.email_verified_at is not None:
            raise AlreadyConfirmed
        if wait := await self.limit.count_mail(account.email):
            raise TooManyMails("Too many mails to this address: wait and try again.", retry_after=wait)
        async with self.transactions() as tx:
            await self.tokens.mail(account, tx, ConfirmationRequested)
        log.info("confirmation requested", account=str(account_id), network=origin.shown)

    async def confirm(self, token: str, origin: Origin) -> None:
        """Confirm the address that the token was mailed to. Raises TokenNotValid."""
        account = await self.tokens.find_account(token)
        async with self.transactions() as tx:
            (await self.tokens.use(token, account, tx)).confirm(tx.now)
        log.info("address confirmed", account=str(account.account_id), network=origin.shown)
