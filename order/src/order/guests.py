"""Orders of guests: an account claims one, or it is looked up without an account.

An account's address need not be confirmed. The link in the receipt confirms it: it was mailed to the order's
address, so a caller who has it can read that mailbox. Together with an account of the same address it grants
the order.

A failed lookup reveals nothing: an unknown number and a wrong address get the same response, after the same
work, and count the same. The attempt is counted before the order is read.
"""

import hmac
import time
from typing import Any

import structlog
from pydantic import SecretStr

from chassis.http.identity import Principal
from chassis.http.origin import Origin
from chassis.messaging.encryption import BadTicket, Cipher, NotDecryptable, TicketExpired, Tickets
from chassis.storage.attempts import Attempts, bucket
from chassis.storage.database import Transactions
from contracts import CLAIM_PURPOSE, OrderClaim
from order import views
from order.bank_page import Actions
from order.domain import MergedGuest, Order
from order.problems import AnothersAddress, BadLink, LinkExpired, LinkUsed, TooManyLookups
from order.schemas import LookedUp
from order.settings import Settings
from order.store import Orders, Row
from order.streams import Reader, StreamTickets

log = structlog.get_logger()

_SHOWN = LookedUp.model_fields.keys() - {"events"}


class Addresses:
    """Compares addresses in the form of `contracts.text` with encrypted ones; as with accounts, case
    does not matter."""

    def __init__(self, keys: SecretStr) -> None:
        self._cipher = Cipher.of(keys)
        self._dummy = self._cipher.encrypt("nobody@shop.invalid")

    def is_contact(self, email: str, contact: str | None) -> bool:
        """Whether the encrypted `contact` is this address. Without a contact it takes the same time, so that
        the time does not tell whether there is one."""
        try:
            decrypted = self._cipher.decrypt(contact or self._dummy)
        except NotDecryptable:
            log.exception("contact is encrypted with a key that CONTACT_KEY lacks")
            return False
        is_same = hmac.compare_digest(decrypted.lower().encode(), email.lower().encode())
        return is_same and contact is not None


class Claims:
    """Gives orders to accounts that claim them."""

    def __init__(self, keys: SecretStr, transactions: Transactions) -> None:
        self._tickets = Tickets.of(keys, CLAIM_PURPOSE)  # as notification does for its links
        self._transactions = transactions
        self._addresses = Addresses(keys)

    async def claim(self, token: str, caller: Principal) -> OrderClaim:
        """Raises BadLink, LinkExpired, LinkUsed, AnothersAddress."""
        try:
            claim = OrderClaim.model_validate(self._tickets.read(token))
        except TicketExpired:
            raise LinkExpired from None
        except BadTicket:
            raise BadLink from None
        async with self._transactions() as tx:
            order = await tx.get(Order, claim.order_id)
            if order is None:
                raise BadLink
            if not self._addresses.is_contact(caller.email or "", order.contact):
                log.warning("claim refused", account=str(caller.id), order=str(order.order_id))
                raise AnothersAddress("Log in to an account with the address that the receipt was sent to.")
            claimed_before = order.claimed_by
            if not order.claim(caller.id, await tx.get(MergedGuest, order.shopper_id)):
                raise LinkUsed
            if claimed_before is None and order.claimed_by:
                log.info("order claimed", account=str(caller.id), order=str(order.order_id))
        return claim


class Lookups:
    """Looks orders up by number and e-mail address, with at most `lookups_per_number` failures for a number
    and `lookups_per_network` from a network in a window."""

    def __init__(
        self,
        settings: Settings,
        orders: Orders,
        actions: Actions,
        tickets: StreamTickets,
        attempts: Attempts,
    ) -> None:
        self._settings = settings
        self._orders = orders
        self._actions = actions
        self._addresses = Addresses(settings.contact_key)
        self._tickets = tickets
        self._attempts = attempts

    async def find(self, number: str, email: str, origin: Origin) -> Row | None:
        """The order with this number, if it was placed with this address. Raises TooManyLookups."""
        of_number, of_network = bucket(f"number {number}"), bucket(f"network {origin.network}")
        limits = {
            of_number: self._settings.lookups_per_number,
            of_network: self._settings.lookups_per_network,
        }
        if wait := await self._attempts.count(limits):
            log.warning("lookup throttled", network=origin.shown)
            raise TooManyLookups("Too many lookups have failed: wait and try again.", retry_after=wait)
        if not self._addresses.is_contact(email, await self._orders.contact(number)):
            log.info("lookup refused", network=origin.shown)
            return None
        await self._attempts.forgive(clear=of_number, give_back=of_network)
        return await self._orders.find(number)

    def view(self, row: Row) -> dict[str, Any]:
        """See `LookedUp`."""
        order_id, shopper = row["order_id"], row["shopper_id"]
        whole = views.order_view(row, self._actions.of(row, shopper))
        # Without an account: the streams of lookups are counted by order.
        reader = Reader(order_id, time.time() + self._settings.lookup_stream_seconds, shopper)
        issued = self._tickets.issue(order_id, reader)
        events = {"href": issued.events, "expires_in": issued.expires_in}
        return {name: whole[name] for name in _SHOWN} | {"events": events}
