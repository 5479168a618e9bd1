"""Looks an order up by its number and e-mail address, without an account and without a token.

A failure reveals nothing: an unknown number and a wrong address get the same response, after the same work,
and count the same. The attempt is counted before the order is read.
"""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from chassis.http.origin import FromWhere, Origin
from chassis.http.problems import RESPONSES, Body, NotFound, TooManyRequests
from chassis.http.provided import Provided
from chassis.storage.attempts import Attempts, bucket
from contracts import CancelReason, Line, MailAddress, Money, ShortLine
from contracts.order import WhyDeclined
from order import api, schemas
from order.action import Actions
from order.domain import Status
from order.privacy import Addresses
from order.store import Orders, Row
from order.stream_tickets import StreamTickets
from order.watch import Reader

router = APIRouter(tags=["orders"])
log = structlog.get_logger()


class TooManyLookups(TooManyRequests):
    """429: too many lookups of this number, or from this network, have failed; this one was not made."""

    type = "/problems/too-many-attempts"


class LookUp(Body):
    """The number in the mail that confirmed the order, and the address it was sent to."""

    number: api.Number
    email: MailAddress


class StreamLink(BaseModel):
    """The URL of the order's event stream, for a page's `EventSource`."""

    href: str
    expires_in: Annotated[int, Field(description="Seconds within which it can be opened.")]


class LookedUp(BaseModel):
    """What a lookup shows of an order: no names and no addresses."""

    number: schemas.Number
    status: Status
    total: Money
    lines: list[Line]
    created_at: datetime
    deadline: datetime
    paid_at: datetime | None
    cancelled_at: datetime | None
    reason: CancelReason | None
    short: list[ShortLine]
    decline_reason: WhyDeclined
    refunded_at: datetime | None
    action: schemas.PendingAction
    events: StreamLink


_SHOWN = LookedUp.model_fields.keys() - {"events"}


@dataclass(frozen=True)
class Lookups:
    """Looks orders up, with at most `per_number` failures for a number and `per_network` from a network in a
    window. The event stream of a lookup lasts `stream_seconds`."""

    orders: Orders
    actions: Actions
    addresses: Addresses
    tickets: StreamTickets
    attempts: Attempts
    per_number: int
    per_network: int
    stream_seconds: float

    async def find(self, number: str, email: str, origin: Origin) -> Row | None:
        """The order with this number, if it was placed with this address. Raises TooManyLookups."""
        of_number, of_network = bucket(f"number {number}"), bucket(f"network {origin.network}")
        limits = {of_number: self.per_number, of_network: self.per_network}
        if wait := await self.attempts.count(limits):
            log.warning("lookup throttled", network=origin.shown)
            raise TooManyLookups("Too many lookups have failed: wait and try again.", retry_after=wait)
        if not self.addresses.is_contact(email, await self.orders.contact(number)):
            log.info("lookup refused", network=origin.shown)
            return None
        await self.attempts.forgive(clear=of_number, give_back=of_network)
        return await self.orders.find(number)

    def view(self, row: Row) -> dict[str, Any]:
        """See `LookedUp`."""
        order_id, shopper = row["order_id"], row["shopper_id"]
        whole = schemas.order_view(row, self.actions.of(row, shopper))
        reader = Reader(order_id, time.time() + self.stream_seconds, shopper)
        issued = self.tickets.issue(order_id, reader)
        events = {"href": issued.href, "expires_in": issued.seconds}
        return {name: whole[name] for name in _SHOWN} | {"events": events}


@router.post(
    "/v1/order-lookups",
    response_model=LookedUp,
    summary="Look an order up without an account",
    responses={status: RESPONSES[status] for status in (404, 422, 429, 503)},
)
async def look_up(body: LookUp, origin: FromWhere, lookups: Provided[Lookups]) -> Response:
    """By its number and the e-mail address that it was placed with. An unknown number and a wrong address get
    the same response, and both are rate-limited."""
    found = await lookups.find(body.number, body.email, origin)
    if found is None:
        raise NotFound("No order with this number and address found.")
    return schemas.response(lookups.view(found))
