"""The addresses that an account keeps, to choose from at the next checkout."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from auth import store
from auth.domain import MOST_ADDRESSES, Account
from chassis.http.problems import Conflict, NotFound
from chassis.storage.database import Transactions
from chassis.storage.tx import SqlTx

log = structlog.get_logger()


class AddressBookFull(Conflict):
    """409: the account has as many addresses as it may have."""

    type = "/problems/address-book-full"
    title = "The address book is full"


@dataclass(frozen=True)
class AddressBook:
    """Reads and changes an account's addresses. As soon as there is one, one of them is the default.

    Changes lock the account, so that two at once neither exceed the limit nor leave two defaults.
    """

    transactions: Transactions
    accounts: store.Accounts

    async def read(self, account_id: UUID) -> Sequence[Mapping[str, Any]]:
        """The addresses, the default first, then the latest. Raises NotFound."""
        found = await self.accounts.addresses(account_id)
        if not found and await self.accounts.by_id(account_id) is None:
            raise NotFound("Account not found.")
        return found

    async def put(
        self, account_id: UUID, address_id: UUID, address: Mapping[str, str], *, is_default: bool
    ) -> Mapping[str, Any]:
        """Create or replace an address, and return it. The default stays the default until another becomes
        it. Raises NotFound, AddressBookFull."""
        async with self.transactions() as tx:
            await _lock(tx, account_id)
            others = [
                one
                for one in await store.addresses(tx.session, account_id)
                if one["address_id"] != address_id
            ]
            if len(others) >= MOST_ADDRESSES:
                raise AddressBookFull(f"An account can have at most {MOST_ADDRESSES} addresses: remove one.")
            has_default = any(one["is_default"] for one in others)
            if is_default and has_default:
                await store.clear_default_address(tx.session, account_id)
            row = {
                "account_id": account_id,
                "address_id": address_id,
                "address": dict(address),
                "is_default": is_default or not has_default,
                "saved_at": tx.now,
            }
            await store.put_address(tx.session, row)
        return row

    async def remove(self, account_id: UUID, address_id: UUID) -> None:
        """Remove an address, if it is there. If it was the default, the latest of the others becomes it.
        Raises NotFound."""
        async with self.transactions() as tx:
            await _lock(tx, account_id)
            await store.delete_address(tx.session, account_id, address_id)
            left = await store.addresses(tx.session, account_id)
            if left and not left[0]["is_default"]:
                await store.put_address(tx.session, {**left[0], "is_default": True})


async def _lock(tx: SqlTx, account_id: UUID) -> None:
    if await tx.get(Account, account_id) is None:
        raise NotFound("Account not found.")
