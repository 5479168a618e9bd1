"""An order's event stream over HTTP, with a token or, where one cannot be sent, with a ticket."""

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response, Security
from fastapi.openapi.models import APIKey, APIKeyIn
from fastapi.security.base import SecurityBase
from pydantic import BaseModel, Field

from chassis.http.identity import Caller, principal
from chassis.http.problems import RESPONSES
from chassis.http.provided import Provided
from order import views
from order.api import Read, Which, visible
from order.stream_tickets import BadStreamTicket, StreamTickets
from order.watch import ENDED_BY, EventStream, Reader, Watch

router = APIRouter(tags=["orders"])
Issue = Provided[StreamTickets]


class _Ticket(SecurityBase):
    """The query's ticket, as a security scheme beside the token."""

    scheme_name = "ticket"
    model = APIKey.model_validate(
        {
            "in": APIKeyIn.query,
            "name": "ticket",
            "description": "From `POST /v1/orders/{order}/events/ticket`, in place of a token.",
        }
    )

    async def __call__(self, request: Request) -> str | None:
        return request.query_params.get("ticket")


class StreamTicket(BaseModel):
    """Opens the event stream of one order until it expires; `events` is the address with the ticket in it."""

    ticket: str
    expires_in: Annotated[int, Field(description="Seconds within which the stream can be opened.")]
    events: str


@router.post(
    "/v1/orders/{order}/events/ticket",
    status_code=201,
    response_model=StreamTicket,
    summary="Get a ticket for an order's event stream",
    responses={404: RESPONSES[404]},
)
async def issue_ticket(which: Which, caller: Caller, orders: Read, tickets: Issue) -> Response:
    """A browser's `EventSource` cannot send an `Authorization` header: it opens `events` instead. The ticket
    is for this order alone and for seconds, in which the browser may reconnect with it. A stream that was
    opened goes on for as long as the token with which the ticket was got. When one breaks off later, the
    browser is answered 401 and reports an error: get another ticket and open a new `EventSource`, which is
    told everything from the beginning."""
    order = visible(await orders.owner(which), caller)
    issued = tickets.issue(order["order_id"], Reader(caller.id, caller.until))
    view = {"ticket": issued.ticket, "expires_in": issued.seconds, "events": issued.href}
    return views.answer(view, 201)


@router.get(
    "/v1/orders/{order}/events",
    status_code=200,  # FastAPI cannot read it off EventStream
    response_class=EventStream,
    summary="Watch an order",
    responses={
        200: {"content": {"text/event-stream": {"schema": views.STREAMED}}},
        204: {"description": "The order has ended and its reader has seen it all."},
        404: RESPONSES[404],
    },
)
async def watch_order(
    which: Which,
    request: Request,
    ticket: Annotated[str | None, Security(_Ticket())],
    orders: Read,
    tickets: Issue,
    watch: Provided[Watch],
    last_event_id: Annotated[str, Header(max_length=2000)] = "",
) -> Response:
    """Server-Sent Events: `timeline` for each event of the saga, past ones first, and `order` for each
    state. Ends when the order is paid or cancelled, with the token, and when its caller has opened too many
    others since. A reader that comes back misses nothing.

    `ticket` counts instead of a token. One that was tampered with, has expired or is for another order is
    answered 401 (`/problems/ticket-not-valid`)."""
    if ticket is None:
        caller = await principal(request)
        order = visible(await orders.owner(which), caller)
        reader = Reader(caller.id, caller.until)
    else:
        opened, reader = tickets.read(ticket)
        found = await orders.owner(which)
        if found is None or found["order_id"] != opened:
            raise BadStreamTicket
        order = found
    seen = [name for name in last_event_id.split(",") if name]
    if ENDED_BY.get(order["status"]) in seen:
        return Response(status_code=204)  # tells an EventSource to come back no more
    return EventStream(watch, watch.open(order["order_id"], seen, reader))
