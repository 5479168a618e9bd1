"""An account claims an order that its shopper has placed as a guest, by the link in the receipt.

Auth does not confirm addresses. What confirms this one is the link: it was mailed to the order's address, so
whoever has it reads that mailbox. With an account of the same address that is the right to the order.
"""

from typing import Annotated, Self

import structlog
from fastapi import APIRouter, Response
from pydantic import Field, SecretStr

from chassis.http.identity import Caller, Principal
from chassis.http.problems import RESPONSES, Body, Conflict, Forbidden, Problem, Unprocessable
from chassis.http.provided import Provided
from chassis.http.tickets import LONGEST, BadTicket, TicketExpired, Tickets
from chassis.messaging.encryption import Cipher
from chassis.saga.tx import Tx
from chassis.storage.database import Transactions
from contracts import CLAIM_PURPOSE, OrderClaim
from order import views
from order.addresses import Addresses
from order.api import Read, ToDo
from order.domain import MergedGuest, Order

router = APIRouter(tags=["orders"])
log = structlog.get_logger()


class BadLink(Unprocessable):
    """422: it is no link of ours, or the order is not kept any more."""

    type = "/problems/claim-link-not-valid"
    title = "The link is not valid"


class LinkExpired(Problem):
    """410: it was good for so many days."""

    status = 410
    type = "/problems/claim-link-expired"
    title = "The link has expired"


class LinkUsed(Conflict):
    """409: the order belongs to an account, and not to the caller's."""

    type = "/problems/claim-link-used"
    title = "The order belongs to an account already"


class AnothersAddress(Forbidden):
    """403: the order was placed with another address than the account's."""

    type = "/problems/claim-needs-the-address"
    title = "The account has another address than the order"


class ClaimOrder(Body):
    """The token of the link in the receipt."""

    token: Annotated[str, Field(max_length=LONGEST)]


class Claims:
    """Lets accounts claim orders."""

    def __init__(self, tickets: Tickets, transactions: Transactions, addresses: Addresses) -> None:
        self._tickets = tickets
        self._transactions = transactions
        self._addresses = addresses

    @classmethod
    def of(cls, keys: SecretStr, transactions: Transactions) -> Self:
        """With the keys of the setting (see `EncryptionKeys`); notification derives the links' key too."""
        return cls(Tickets.of(keys, CLAIM_PURPOSE), transactions, Addresses(Cipher.of(keys)))

    async def claim(self, token: str, caller: Principal) -> OrderClaim:
        """Raises BadLink, LinkExpired, LinkUsed, AnothersAddress."""
        claim = self._read(token)
        async with self._transactions() as tx:
            order = await tx.get(Order, claim.order_id)
            if order is None:
                raise BadLink
            await self._give(order, caller, tx)
        return claim

    def _read(self, token: str) -> OrderClaim:
        try:
            return OrderClaim.model_validate(self._tickets.read(token))
        except TicketExpired:
            raise LinkExpired from None
        except BadTicket:
            raise BadLink from None

    async def _give(self, order: Order, caller: Principal, tx: Tx) -> None:
        if not self._addresses.is_contact(caller.email or "", order.contact):
            log.warning("claim refused", account=str(caller.id), order=str(order.order_id))
            raise AnothersAddress("Log in to an account with the address that the receipt was sent to.")
        was = order.claimed_by
        if not order.claim(caller.id, await tx.get(MergedGuest, order.shopper_id)):
            raise LinkUsed
        if was is None and order.claimed_by:
            log.info("order claimed", account=str(caller.id), order=str(order.order_id))


@router.post(
    "/v1/order-claims",
    response_model=views.OrderView,
    summary="Claim an order that was placed as a guest",
    responses={status: RESPONSES[status] for status in (403, 409, 410, 422)},
)
async def claim_order(
    body: ClaimOrder,
    caller: Caller,
    orders: Read,
    actions: ToDo,
    claims: Provided[Claims],
) -> Response:
    """The receipt of a guest's order has a link with this token. It is good once, for some weeks, for an
    account whose address is the one that the receipt was sent to; for the same account again it changes
    nothing. From then on the order is the account's alone."""
    if caller.role == "guest":
        raise Forbidden("Log in to an account to claim an order.")
    claim = await claims.claim(body.token, caller)
    found = await orders.find(claim.order_id)
    if found is None:
        raise BadLink
    return views.answer(views.order_view(found, actions.of(found, caller.id)))
