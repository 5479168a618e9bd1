"""The endpoints to place, list, read and cancel orders, and those for the orders of guests."""

from typing import Annotated
from uuid import UUID

import structlog
from fastapi import APIRouter, Body, Path, Query, Response
from pydantic import PlainValidator, WithJsonSchema

from chassis.http.idempotency import IdempotencyKey
from chassis.http.identity import Caller, Principal
from chassis.http.origin import FromWhere
from chassis.http.problems import RESPONSES, Forbidden, NotFound
from chassis.http.provided import Provided
from chassis.runtime.jobs import first_id
from order import ids, schemas, views
from order.bank_page import Actions
from order.cancelling import Cancelling
from order.checkout import Checkout
from order.checkout_schemas import PlaceOrder
from order.guests import Claims, Lookups
from order.problems import BadLink, invalid
from order.schemas import CancelOrder, ClaimOrder, LookedUp, LookUp, OrderFilters
from order.search import ContactHashes
from order.store import Orders, Row

router = APIRouter(tags=["orders"])
log = structlog.get_logger()

READ_ALL = "orders:read-all"
REFUND = "orders:refund"

ProvidedOrders = Provided[Orders]
ProvidedActions = Provided[Actions]
OrderRef = Annotated[
    UUID | str,
    Path(alias="order", description="The order's id, or its number in any case, with or without the dash."),
    PlainValidator(ids.id_or_number),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "format": "uuid"}, {"type": "string", "pattern": ids.NUMBER_PATTERN}]}
    ),
]


@router.post(
    "/v1/orders",
    status_code=202,
    response_model=schemas.Accepted,
    summary="Order the cart",
    responses={409: views.NOT_PLACED, **{status: RESPONSES[status] for status in (429, 503)}},
)
async def place_order(
    body: PlaceOrder,
    key: IdempotencyKey,
    caller: Caller,
    origin: FromWhere,
    checkout: Provided[Checkout],
) -> Response:
    """Accepts the checkout; `links` show how it goes on. Current prices apply, but never more than the
    expected total, if it is given. A cart can be ordered once; again only if that order is cancelled."""
    return await checkout.accept(body, key, caller, origin)


@router.get("/v1/orders", response_model=schemas.OrderPage, summary="List and search orders")
async def list_orders(
    filters: Annotated[OrderFilters, Query()],
    caller: Caller,
    orders: ProvidedOrders,
    actions: ProvidedActions,
    hashes: Provided[ContactHashes],
) -> Response:
    """The caller's orders, newest first. Staff see all orders, and can search them by address, product and
    time."""
    owner = filters.shopper_id
    if READ_ALL not in caller.scopes:
        if owner not in (None, caller.id):
            raise Forbidden("You cannot list another customer's orders.")
        if names := filters.for_staff():
            raise Forbidden(f"Only staff can search by {', '.join(names)}.")
        owner = caller.id
    email, since, until = filters.email_sha256, filters.placed_from, filters.placed_before
    rows = await orders.page(
        filters.limit + 1,
        owner=owner,
        status=filters.status,
        ids=filters.id,
        number=filters.number,
        before=filters.before,
        contacts=hashes.wanted(email) if email else None,
        sku=filters.sku,
        placed_from=first_id(since) if since else None,
        placed_before=first_id(until) if until else None,
    )
    following = str(rows[filters.limit - 1]["order_id"]) if len(rows) > filters.limit else None
    shown = [views.order_view(row, actions.of(row, caller.id)) for row in rows[: filters.limit]]
    return views.response({"items": shown, "next": following})


@router.get(
    "/v1/orders/{order}",
    response_model=schemas.OrderView,
    summary="Read an order",
    responses={404: RESPONSES[404]},
)
async def read_order(
    ref: OrderRef, caller: Caller, orders: ProvidedOrders, actions: ProvidedActions
) -> Response:
    """One of the caller's orders. Administrators can read any, without its `action`."""
    row = visible(await orders.find(ref), caller)
    return views.response(views.order_view(row, actions.of(row, caller.id)))


@router.post(
    "/v1/orders/{order}/cancel",
    response_model=schemas.OrderView,
    summary="Cancel an order",
    responses={status: RESPONSES[status] for status in (403, 404, 409)},
)
async def cancel_order(
    ref: OrderRef,
    caller: Caller,
    orders: ProvidedOrders,
    cancelling: Provided[Cancelling],
    body: Annotated[CancelOrder | None, Body()] = None,
) -> Response:
    """Cancels a pending order, or a paid one within the shop's return period; refund and restocking follow. A
    fulfilled order can only be returned. Staff can cancel any order, with a reason. Idempotent: a second
    cancel has no effect."""
    found = visible(await orders.owner(ref), caller, REFUND)
    why = _staff_reason(found, caller, body)
    if why is None:
        await cancelling.by_shopper(found["order_id"])
    else:
        await cancelling.by_staff(found["order_id"], caller.id, why)
    return views.response(views.order_view(visible(await orders.find(found["order_id"]), caller, REFUND)))


@router.get(
    "/v1/orders/{order}/timeline",
    response_model=schemas.Timeline,
    summary="Read an order's timeline",
    responses={404: RESPONSES[404]},
)
async def read_timeline(ref: OrderRef, caller: Caller, orders: ProvidedOrders) -> Response:
    """The events of the order's saga: when, by which service, and the event that led to each."""
    rows = await orders.timeline(ref)
    order = visible(rows[0] if rows else None, caller)
    events = [views.event_view(row) for row in rows if row["type"] is not None]
    return views.response({"order_id": order["order_id"], "number": order["number"], "events": events})


@router.post(
    "/v1/order-claims",
    response_model=schemas.OrderView,
    summary="Claim an order that was placed as a guest",
    responses={status: RESPONSES[status] for status in (403, 409, 410)},
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
    return views.response(views.order_view(found, actions.of(found, caller.id)))


@router.post(
    "/v1/order-lookups",
    response_model=LookedUp,
    summary="Look an order up without an account",
    responses={status: RESPONSES[status] for status in (404, 429, 503)},
)
async def look_up(body: LookUp, origin: FromWhere, lookups: Provided[Lookups]) -> Response:
    """By its number and the e-mail address that it was placed with. An unknown number and a wrong address get
    the same response, and both are rate-limited."""
    found = await lookups.find(body.number, body.email, origin)
    if found is None:
        raise NotFound("No order with this number and address found.")
    return views.response(lookups.view(found))


def visible(found: Row | None, caller: Principal, scope: str = READ_ALL) -> Row:
    """The row, if the caller owns the order or has `scope` or the scope to read all; otherwise raises
    NotFound."""
    if found is not None:
        if found["shopper_id"] == caller.id or caller.scopes & {READ_ALL, scope}:
            return found
        log.warning("foreign order refused", account=str(caller.id), role=caller.role)
    raise NotFound("Order not found.")


def _staff_reason(found: Row, caller: Principal, body: CancelOrder | None) -> str | None:
    """Why staff cancel the order; `None` if its customer does."""
    why, is_owner = body.reason if body else None, found["shopper_id"] == caller.id
    if REFUND not in caller.scopes:
        if not is_owner:
            raise Forbidden("Only the customer who placed the order can cancel it.")
        if why is not None:
            raise invalid("/reason", "Only staff can give a reason.")
    elif why is None and not is_owner:
        raise invalid("/reason", "Staff need a reason to cancel an order.")
    return why
