"""An account claims an order that was placed as a guest, with the link in the receipt.

Auth does not verify addresses. The link does: it was mailed to the order's address, so whoever has it can
read that mailbox. Together with an account of the same address it gives the right to the order.
"""

from typing import Annotated, Self

import structlog
from fastapi import APIRouter, Response
from pydantic import Field, SecretStr

from chassis.http.identity import Caller, Principal
from chassis.http.problems import RESPONSES, Body, Conflict, Forbidden, Problem, Unprocessable
from chassis.http.provided import Provided
from chassis.messaging.encryption import LONGEST, BadTicket, Cipher, TicketExpired, Tickets
from chassis.saga.tx import Tx
from chassis.storage.database import Transactions
from contracts import CLAIM_PURPOSE, OrderClaim
from order import schemas
from order.api import ProvidedActions, ProvidedOrders
from order.domain import MergedGuest, Order
from order.privacy import Addresses

router = APIRouter(tags=["orders"])
log = structlog.get_logger()


class BadLink(Unprocessable):
    """422: the token is invalid, or the order was deleted."""

    type = "/problems/claim-link-not-valid"
    title = "The link is not valid"


class LinkExpired(Problem):
    """410: the link has expired."""

    status = 410
    type = "/problems/claim-link-expired"
    title = "The link has expired"


class LinkUsed(Conflict):
    """409: the order belongs to another account."""

    type = "/problems/claim-link-used"
    title = "The order belongs to an account already"


class AnothersAddress(Forbidden):
    """403: the order has another address than the account."""

    type = "/problems/claim-needs-the-address"
    title = "The account has another address than the order"


class ClaimOrder(Body):
    """The token of the link in the receipt."""

    token: Annotated[str, Field(max_length=LONGEST)]


class Claims:
    """Gives orders to accounts that claim them."""

    def __init__(self, tickets: Tickets, transactions: Transactions, addresses: Addresses) -> None:
        self._tickets = tickets
        self._transactions = transactions
        self._addresses = addresses

    @classmethod
    def of(cls, keys: SecretStr, transactions: Transactions) -> Self:
        """With a key derived from those of the setting (see `EncryptionKeys`), as notification does for its
        links."""
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
        claimed_before = order.claimed_by
        if not order.claim(caller.id, await tx.get(MergedGuest, order.shopper_id)):
            raise LinkUsed
        if claimed_before is None and order.claimed_by:
            log.info("order claimed", account=str(caller.id), order=str(order.order_id))


@router.post(
    "/v1/order-claims",
    response_model=schemas.OrderView,
    summary="Claim an order that was placed as a guest",
    responses={status: RESPONSES[status] for status in (403, 409, 410, 422)},
)
async def claim_order(
    body: ClaimOrder,
    caller: Caller,
    orders: ProvidedOrders,
    actions: ProvidedActions,
    claims: Provided[Claims],
) -> Response:
    """The receipt of a guest's order has a link with this token. It can be used once, within some weeks, by
    an account with the address that the receipt was sent to. From then on the order belongs to that account
    only. Idempotent for the same account."""
    if caller.role == "guest":
        raise Forbidden("Log in to an account to claim an order.")
    claim = await claims.claim(body.token, caller)
    found = await orders.find(claim.order_id)
    if found is None:
        raise BadLink
    return schemas.response(schemas.order_view(found, actions.of(found, caller.id)))
