"""The endpoints to place, list, read and cancel orders."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Path, Query, Response
from fastapi import Body as BodyOf
from pydantic import AfterValidator, Field, PlainValidator, StringConstraints, WithJsonSchema

from chassis.http.idempotency import IdempotencyKey
from chassis.http.identity import Caller, Principal
from chassis.http.origin import FromWhere
from chassis.http.problems import RESPONSES, Body, Forbidden, NotFound, Unprocessable
from chassis.http.provided import Provided
from chassis.storage.database import Transactions
from chassis.storage.tx import SqlTx
from contracts import MailAddress, OneLine
from contracts.text import PATTERN as ONE_LINE
from order import numbers, schemas
from order.action import Actions, AllowedOrigins, origin_of
from order.checkout import Checkout, Request
from order.countries import COUNTRIES
from order.domain import Address, Order, Status
from order.expected import ExpectedLines, ExpectedTotal, expected
from order.ids import new_order_id
from order.privacy import Networks
from order.return_problems import TooLate, as_problems
from order.returns import ReturnPeriod
from order.store import Orders, Row
from order.timeline import StaffAction

router = APIRouter(tags=["orders"])
log = structlog.get_logger()

READ_ALL = "orders:read-all"
REFUND = "orders:refund"
NOT_FOUND = "Order not found."

Line80 = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=80, pattern=ONE_LINE),
    OneLine,
]
Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=ONE_LINE),
    OneLine,
]
ProvidedOrders = Provided[Orders]
ProvidedActions = Provided[Actions]
ProvidedTransactions = Provided[Transactions]
IdOrNumber = {"anyOf": [{"type": "string", "format": "uuid"}, {"type": "string", "pattern": numbers.PATTERN}]}
OrderRef = Annotated[
    UUID | str,
    Path(alias="order", description="The order's id, or its number in any case, with or without the dash."),
    PlainValidator(numbers.id_or_number),
    WithJsonSchema(IdOrNumber),
]


def _valid_number(text: str) -> str:
    number = numbers.read(text)
    if number is None:
        raise ValueError("must be an order's number, such as K7Q2X-9XMDA")
    return number


Number = Annotated[
    str, AfterValidator(_valid_number), WithJsonSchema({"type": "string", "pattern": numbers.PATTERN})
]


def _valid_country(code: str) -> str:
    if code not in COUNTRIES:
        raise ValueError("must be an ISO 3166-1 alpha-2 code, in upper case")
    return code


class ShipTo(Body):
    """Where to ship."""

    name: Line80
    street: Line80
    city: Line80
    postcode: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=16, pattern=ONE_LINE),
        OneLine,
    ]
    country: Annotated[str, Field(examples=["GB"]), AfterValidator(_valid_country)]


class PlaceOrder(Body):
    """How to pay for the cart, where to write and ship to, and what the shopper expects."""

    payment_method: Annotated[
        str | None,
        Field(
            pattern=r"^pm_[0-9_]*[A-Za-z][A-Za-z0-9_]*$",  # digits only would be a card number
            max_length=67,
            description="The payment provider's token, never a card number. Required unless it is free.",
            examples=["pm_card_visa"],
        ),
    ] = None
    email: Annotated[
        MailAddress | None,
        Field(description="Required for guests; the default is the account's address."),
    ] = None
    shipping: ShipTo | None = None
    expires_in: Annotated[
        int | None,
        Field(
            ge=1,
            description="Seconds until an unpaid order is cancelled, if less than the shop's limit.",
        ),
    ] = None
    expected_total: ExpectedTotal | None = None
    expected_lines: ExpectedLines | None = None
    return_url: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=2000,
            description="Where the bank's page sends the shopper back to, if her bank asks to confirm: one of"
            " the shop's origins. Without it such a payment is declined.",
            examples=["https://shop.example/orders/return"],
        ),
    ] = None

    def payload(self) -> bytes:
        """The bytes that an idempotency key is compared by. A newer field that is missing is left out, so
        that a repeat that reaches the previous release is the same request."""
        newer = type(self).model_fields.keys() - _ORIGINAL_FIELDS
        return self.model_dump_json(exclude={name for name in newer if getattr(self, name) is None}).encode()


_ORIGINAL_FIELDS = {"payment_method", "email", "shipping", "expires_in"}


class NoBody(Body):
    """No body, or an empty object: fields that would be ignored are refused."""


EmptyBody = Annotated[NoBody | None, BodyOf()]


class CancelOrder(Body):
    """Empty, unless staff cancel the order."""

    reason: Annotated[Reason | None, Field(description="Why staff cancel the order; required for them.")] = (
        None
    )


@router.post(
    "/v1/orders",
    status_code=202,
    response_model=schemas.Accepted,
    summary="Order the cart",
    responses={409: schemas.NOT_PLACED, **{status: RESPONSES[status] for status in (422, 429, 503)}},
)
async def place_order(
    body: PlaceOrder,
    key: IdempotencyKey,
    caller: Caller,
    origin: FromWhere,
    networks: Provided[Networks],
    checkout: Provided[Checkout],
    return_origins: Provided[AllowedOrigins],
) -> Response:
    """Accepts the checkout; `links` show how it goes on. Current prices apply, but never more than the
    expected total, if it is given. A cart can be ordered once; again only if that order is cancelled."""
    email = body.email or caller.email
    if email is None:
        missing = {"pointer": "/email", "detail": "Required for a guest's order."}
        raise Unprocessable("The request is not valid.", errors=[missing])
    _require_allowed_return_url(body.return_url, return_origins)
    shipping = Address(**body.shipping.model_dump()) if body.shipping else None
    is_guest = caller.role == "guest"
    request = Request(
        caller.id,
        caller.token,
        body.payment_method,
        email,
        shipping,
        is_guest,
        body.expires_in,
        expected(body.expected_total, body.expected_lines),
        body.return_url,
        networks.hash(origin),
    )
    return await checkout.accept(request, key, body.payload())


@router.get("/v1/orders", response_model=schemas.OrderPage, summary="List orders")
async def list_orders(
    caller: Caller,
    orders: ProvidedOrders,
    actions: ProvidedActions,
    status: Status | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    before: Annotated[UUID | None, Query(description="The `next` of the previous page.")] = None,
    shopper_id: Annotated[
        UUID | None, Query(description="For administrators: the owner of the orders.")
    ] = None,
    id: Annotated[list[UUID] | None, Query(max_length=100, description="Only these.")] = None,  # noqa: A002
    number: Annotated[Number | None, Query(description="Only the order with this number.")] = None,
) -> Response:
    """The caller's orders, newest first. Administrators see all orders."""
    if READ_ALL not in caller.scopes:
        if shopper_id not in (None, caller.id):
            raise Forbidden("You cannot list another customer's orders.")
        shopper_id = caller.id
    rows = await orders.page(limit + 1, owner=shopper_id, status=status, ids=id, number=number, before=before)
    following = str(rows[limit - 1]["order_id"]) if len(rows) > limit else None
    shown = [schemas.order_view(row, actions.of(row, caller.id)) for row in rows[:limit]]
    return schemas.response(schemas.page_view(shown, following))


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
    return schemas.response(schemas.order_view(row, actions.of(row, caller.id)))


@router.post(
    "/v1/orders/{order}/cancel",
    response_model=schemas.OrderView,
    summary="Cancel an order",
    responses={status: RESPONSES[status] for status in (403, 404, 409, 422)},
)
async def cancel_order(
    ref: OrderRef,
    caller: Caller,
    orders: ProvidedOrders,
    transactions: ProvidedTransactions,
    within: Provided[ReturnPeriod],
    body: Annotated[CancelOrder | None, BodyOf()] = None,
) -> Response:
    """Cancels a pending order, or a paid one within the shop's return period; refund and restocking follow. A
    fulfilled order can only be returned. Staff can cancel any order, with a reason. Idempotent: a second
    cancel has no effect."""
    found = visible(await orders.owner(ref), caller, REFUND)
    why = _staff_reason(found, caller, body)
    async with transactions() as tx:
        order = await load(tx, found)
        if why is None and not order.may_be_cancelled(tx.now, within):
            raise TooLate(f"A paid order can be cancelled for {within.days} days.")
        with as_problems():
            events = order.cancel(tx.now, by=None if why is None else "staff")
        tx.publish(*events)
        if events and why is not None:
            audit(tx, caller, order, "cancel", why)
    return schemas.response(schemas.order_view(visible(await orders.find(order.order_id), caller, REFUND)))


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
    events = [schemas.event_view(row) for row in rows if row["type"] is not None]
    return schemas.response({"order_id": order["order_id"], "number": order["number"], "events": events})


def _require_allowed_return_url(return_url: str | None, allowed: frozenset[str]) -> None:
    """Raises Unprocessable for a URL that is not the shop's own."""
    if return_url is None:
        return
    try:
        origin = origin_of(return_url)
    except ValueError as error:
        detail = f"The return URL {error}."
    else:
        if origin in allowed:
            return
        detail = f"{origin} is not one of the shop's origins."
    raise Unprocessable("The request is not valid.", errors=[{"pointer": "/return_url", "detail": detail}])


def visible(found: Row | None, caller: Principal, scope: str = READ_ALL) -> Row:
    """The row, if the caller owns the order or has `scope` or the scope to read all; otherwise raises
    NotFound."""
    if found is not None:
        if found["shopper_id"] == caller.id or caller.scopes & {READ_ALL, scope}:
            return found
        log.warning("foreign order refused", account=str(caller.id), role=caller.role)
    raise NotFound(NOT_FOUND)


def audit(
    tx: SqlTx,
    staff: Principal,
    order: Order,
    action: str,
    why: str | None,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Record at commit what staff have done to the order, and why."""
    tx.add(StaffAction(new_order_id(), order.order_id, action, staff.id, tx.now, why, dict(about or {})))


async def load(tx: SqlTx, found: Row) -> Order:
    """The order, locked until the commit."""
    order = await tx.get(Order, found["order_id"])
    if order is None:
        raise NotFound(NOT_FOUND)
    return order


def _staff_reason(found: Row, caller: Principal, body: CancelOrder | None) -> str | None:
    """Why staff cancel the order; `None` if its customer does."""
    why, is_owner = body.reason if body else None, found["shopper_id"] == caller.id
    if REFUND not in caller.scopes:
        if not is_owner:
            raise Forbidden("Only the customer who placed the order can cancel it.")
        if why is not None:
            raise _invalid("/reason", "Only staff can give a reason.")
    elif why is None and not is_owner:
        raise _invalid("/reason", "Staff need a reason to cancel an order.")
    return why


def _invalid(pointer: str, detail: str) -> Unprocessable:
    return Unprocessable("The request is not valid.", errors=[{"pointer": pointer, "detail": detail}])
