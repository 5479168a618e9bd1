"""The endpoints of an order's event stream, which is opened with a token or a ticket."""

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response, Security
from fastapi.openapi.models import APIKey, APIKeyIn
from fastapi.security.base import SecurityBase

from chassis.http.identity import Caller, principal
from chassis.http.problems import RESPONSES
from chassis.http.provided import Provided
from order import schemas, views
from order.api import OrderRef, ProvidedOrders, visible
from order.problems import BadStreamTicket
from order.streams import ENDED_BY, Reader, StreamTickets
from order.watch import EventStream, Watch

router = APIRouter(tags=["orders"])
ProvidedTickets = Provided[StreamTickets]


class _Ticket(SecurityBase):
    """The ticket in the query, as a security scheme beside the token."""

    scheme_name = "ticket"
    model = APIKey.model_validate(
        {
            "in": APIKeyIn.query,
            "name": "ticket",
            "description": "From `POST /v1/orders/{order}/events/ticket`, instead of a token.",
        }
    )

    async def __call__(self, request: Request) -> str | None:
        return request.query_params.get("ticket")


@router.post(
    "/v1/orders/{order}/events/ticket",
    status_code=201,
    response_model=schemas.StreamTicket,
    summary="Get a ticket for an order's event stream",
    responses={404: RESPONSES[404]},
)
async def issue_ticket(
    ref: OrderRef, caller: Caller, orders: ProvidedOrders, tickets: ProvidedTickets
) -> Response:
    """For a browser's `EventSource`, which cannot send an `Authorization` header: open `events` with it. The
    ticket is valid for this order only and for a few seconds, in which the browser can reconnect with it. An
    open stream lasts until the token with which the ticket was requested expires. If it breaks off later, the
    browser's reconnect gets a 401 and an error event: request a new ticket and open a new `EventSource`,
    which gets all events from the beginning."""
    order = visible(await orders.owner(ref), caller)
    issued = tickets.issue(order["order_id"], Reader(caller.id, caller.until))
    return views.response(issued.model_dump(), 201)


@router.get(
    "/v1/orders/{order}/events",
    status_code=200,  # FastAPI cannot read it off EventStream
    response_class=EventStream,
    summary="Watch an order",
    responses={
        200: {"content": {"text/event-stream": {"schema": views.STREAMED}}},
        204: {"description": "The order has ended and the reader has received everything."},
        404: RESPONSES[404],
    },
)
async def watch_order(
    ref: OrderRef,
    request: Request,
    ticket: Annotated[str | None, Security(_Ticket())],
    orders: ProvidedOrders,
    tickets: ProvidedTickets,
    watch: Provided[Watch],
    last_event_id: Annotated[str, Header(max_length=2000)] = "",
) -> Response:
    """Server-Sent Events: `timeline` for each event of the saga, past ones first, and `order` for each state.
    The stream ends when the order is paid or cancelled, when the token expires, and when the same caller has
    opened too many newer ones. A reader that reconnects misses nothing.

    `ticket` takes the place of a token. A ticket that was tampered with, has expired or is for another order
    is answered with 401 (`/problems/ticket-not-valid`)."""
    if ticket is None:
        caller = await principal(request)
        order = visible(await orders.owner(ref), caller)
        reader = Reader(caller.id, caller.until)
    else:
        opened, reader = tickets.read(ticket)
        found = await orders.owner(ref)
        if found is None or found["order_id"] != opened:
            raise BadStreamTicket
        order = found
    delivered = [name for name in last_event_id.split(",") if name]
    if ENDED_BY.get(order["status"]) in delivered:
        return Response(status_code=204)  # tells an EventSource not to reconnect
    return EventStream(watch, watch.open(order["order_id"], delivered, reader))
