"""Deleting an account for good, with the password."""

from dataclasses import dataclass
from uuid import UUID

import structlog

from auth.authentication import Authentication
from auth.domain import Account
from auth.store import Accounts
from chassis.http.origin import Origin
from chassis.http.problems import NotFound
from chassis.messaging.encryption import Cipher
from chassis.storage.database import Transactions
from contracts import UserDeleted

log = structlog.get_logger()


@dataclass(frozen=True)
class AccountDeletion:
    """Deletes accounts, and publishes `user.deleted`, on which the other services erase what they have."""

    transactions: Transactions
    accounts: Accounts
    authentication: Authentication
    cipher: Cipher

    async def delete(self, account_id: UUID, password: str, origin: Origin) -> None:
        """Delete the account with its sessions and tokens; its address can register again at once. Raises
        NotFound, WrongPassword, TooManyWrongPasswords, Unavailable."""
        account = await self.accounts.by_id(account_id)
        if account is None:
            raise NotFound("Account not found.")
        await self.authentication.require(account, password, origin)
        async with self.transactions() as tx:
            kept = await tx.get(Account, account_id)
            if kept is None:
                raise NotFound("Account not found.")
            await tx.session.delete(kept)
            tx.publish(UserDeleted(user_id=account_id, contact=self.cipher.encrypt(kept.email)))
        log.info("account deleted", account=str(account_id), network=origin.shown)
