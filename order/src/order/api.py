"""Orders over HTTP: place one, read one's own, cancel, watch."""

from typing import Annotated
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
from chassis.storage.database import SqlTx, Transactions
from contracts import MailAddress, OneLine
from contracts.one_line import PATTERN as ONE_LINE
from order import numbers, views
from order.action import Actions, AllowedOrigins, origin_of
from order.checkout import Checkout, Request
from order.countries import COUNTRIES
from order.domain import Address, Order, Status
from order.ids import new_order_id
from order.networks import Networks
from order.refusals import TooLate, told
from order.returns import ReturnPeriod
from order.seen import SeenLines, SeenTotal, expected
from order.staff import StaffAction
from order.store import Orders, Row

router = APIRouter(tags=["orders"])
log = structlog.get_logger()

ANYBODYS = "orders:read-all"
REFUND = "orders:refund"
UNKNOWN = "There is no such order of yours."

Line80 = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=80, pattern=ONE_LINE),
    OneLine,
]
Why = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=ONE_LINE),
    OneLine,
]
Read = Provided[Orders]
ToDo = Provided[Actions]
Transact = Provided[Transactions]
IdOrNumber = {"anyOf": [{"type": "string", "format": "uuid"}, {"type": "string", "pattern": numbers.PATTERN}]}
Which = Annotated[
    UUID | str,
    Path(alias="order", description="The order's id, or its number in any case, with or without the dash."),
    PlainValidator(numbers.which),
    WithJsonSchema(IdOrNumber),
]


def _number(text: str) -> str:
    number = numbers.read(text)
    if number is None:
        raise ValueError("must be an order's number, such as K7Q2X-9XMDA")
    return number


Number = Annotated[
    str, AfterValidator(_number), WithJsonSchema({"type": "string", "pattern": numbers.PATTERN})
]


def _assigned(code: str) -> str:
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
    country: Annotated[str, Field(examples=["GB"]), AfterValidator(_assigned)]


class PlaceOrder(Body):
    """How to pay for the cart, where to write to, where to ship, and what the shopper has seen of it."""

    payment_method: Annotated[
        str | None,
        Field(
            pattern=r"^pm_[0-9_]*[A-Za-z][A-Za-z0-9_]*$",  # digits alone are a card's
            max_length=67,
            description="The payment provider's token; never a card number. Needed unless the order is free.",
            examples=["pm_card_visa"],
        ),
    ] = None
    email: Annotated[
        MailAddress | None,
        Field(description="Needed of guests; an account's own address unless given."),
    ] = None
    shipping: ShipTo | None = None
    expires_in: Annotated[
        int | None,
        Field(ge=1, description="Seconds after which the order is off unless paid, if sooner than usual."),
    ] = None
    expected_total: SeenTotal | None = None
    expected_lines: SeenLines | None = None
    return_url: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=2000,
            description="Where the shopper goes from her bank's page, if her bank asks: at one of the shop's"
            " own origins. Without it a card whose bank asks is declined.",
            examples=["https://shop.example/orders/return"],
        ),
    ] = None

    def payload(self) -> bytes:
        """All that makes the request what it is. What is left out is left out here, as in a release that does
        not know it: a repeat to the one or the other is the same request."""
        newer = type(self).model_fields.keys() - _SINCE_EVER
        return self.model_dump_json(exclude={name for name in newer if getattr(self, name) is None}).encode()


_SINCE_EVER = {"payment_method", "email", "shipping", "expires_in"}


class NoBody(Body):
    """Nothing, or an empty object: what would be ignored is refused."""


Nothing = Annotated[NoBody | None, BodyOf()]


class CancelOrder(Body):
    """Empty, unless staff cancel it."""

    reason: Annotated[Why | None, Field(description="Why staff cancel the order; needed of them.")] = None


@router.post(
    "/v1/orders",
    status_code=202,
    response_model=views.Accepted,
    summary="Order what is in the cart",
    responses={409: views.NOT_PLACED, **{status: RESPONSES[status] for status in (422, 429, 503)}},
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
    """Accepts the checkout; what becomes of it is seen at `links`. Prices are those of this moment; whoever
    says what was expected is not charged more. A cart is ordered once, until that order is cancelled."""
    email = body.email or caller.email
    if email is None:
        missing = {"pointer": "/email", "detail": "A guest's order needs an e-mail address."}
        raise Unprocessable("The request is not valid.", errors=[missing])
    _returns_to_the_shop(body.return_url, return_origins)
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


@router.get("/v1/orders", response_model=views.OrderPage, summary="List one's orders")
async def list_orders(
    caller: Caller,
    orders: Read,
    actions: ToDo,
    status: Status | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    before: Annotated[UUID | None, Query(description="The page after this order: `next` of a page.")] = None,
    shopper_id: Annotated[UUID | None, Query(description="For administrators: whose orders.")] = None,
    id: Annotated[list[UUID] | None, Query(max_length=100, description="Only these.")] = None,  # noqa: A002
    number: Annotated[Number | None, Query(description="Only the order with this number.")] = None,
) -> Response:
    """Newest first. Administrators see everybody's."""
    if ANYBODYS not in caller.scopes:
        if shopper_id not in (None, caller.id):
            raise Forbidden("These are another's orders.")
        shopper_id = caller.id
    rows = await orders.page(limit + 1, owner=shopper_id, status=status, ids=id, number=number, before=before)
    following = str(rows[limit - 1]["order_id"]) if len(rows) > limit else None
    shown = [views.order_view(row, actions.of(row, caller.id)) for row in rows[:limit]]
    return views.answer(views.page_view(shown, following))


@router.get(
    "/v1/orders/{order}",
    response_model=views.OrderView,
    summary="Read an order",
    responses={404: RESPONSES[404]},
)
async def read_order(which: Which, caller: Caller, orders: Read, actions: ToDo) -> Response:
    """One's own; administrators read any, but for what its shopper is to do."""
    row = visible(await orders.find(which), caller)
    return views.answer(views.order_view(row, actions.of(row, caller.id)))


@router.post(
    "/v1/orders/{order}/cancel",
    response_model=views.OrderView,
    summary="Cancel an order",
    responses={status: RESPONSES[status] for status in (403, 404, 409, 422)},
)
async def cancel_order(
    which: Which,
    caller: Caller,
    orders: Read,
    transactions: Transact,
    within: Provided[ReturnPeriod],
    body: Annotated[CancelOrder | None, BodyOf()] = None,
) -> Response:
    """A pending order ends here; for one that is paid, refund and restocking follow, for as many days as the
    shop takes returns. Once it was fulfilled it can only be returned. Staff cancel anybody's, with a reason.
    Idempotent: a second cancel has no effect."""
    found = visible(await orders.owner(which), caller, REFUND)
    why = _why(found, caller, body)
    async with transactions() as tx:
        order = await load(tx, found)
        if why is None and not order.may_be_cancelled(tx.now, within):
            raise TooLate(f"A paid order can be cancelled for {within.days} days.")
        with told():
            said = order.withdraw(tx.now, by=None if why is None else "staff")
        tx.publish(*said)
        if said and why is not None:
            tx.add(StaffAction(new_order_id(), order.order_id, "cancel", caller.id, tx.now, why, {}))
    return views.answer(views.order_view(visible(await orders.find(order.order_id), caller, REFUND)))


@router.get(
    "/v1/orders/{order}/timeline",
    response_model=views.Timeline,
    summary="Read an order's story",
    responses={404: RESPONSES[404]},
)
async def read_timeline(which: Which, caller: Caller, orders: Read) -> Response:
    """What was said of the order, by whom, and what led to it."""
    story = await orders.story(which)
    order = visible(story[0] if story else None, caller)
    events = [views.event_view(row) for row in story if row["type"] is not None]
    return views.answer({"order_id": order["order_id"], "number": order["number"], "events": events})


def _returns_to_the_shop(return_url: str | None, allowed: frozenset[str]) -> None:
    """Raises Unprocessable for an address at somebody else's: the shop sends nobody there."""
    if return_url is None:
        return
    try:
        origin = origin_of(return_url)
    except ValueError as error:
        detail = f"The address to come back to {error}."
    else:
        if origin in allowed:
            return
        detail = f"The shop sends nobody to {origin}: it is none of its own origins."
    raise Unprocessable("The request is not valid.", errors=[{"pointer": "/return_url", "detail": detail}])


def visible(found: Row | None, caller: Principal, scope: str = ANYBODYS) -> Row:
    """What was found, unless it is not the caller's to see; `scope` opens it, as reading everybody's does."""
    if found is not None:
        if found["shopper_id"] == caller.id or caller.scopes & {ANYBODYS, scope}:
            return found
        log.warning("foreign order refused", account=str(caller.id), role=caller.role)
    raise NotFound(UNKNOWN)


async def load(tx: SqlTx, found: Row) -> Order:
    """The order itself, locked until the commit."""
    order = await tx.get(Order, found["order_id"])
    if order is None:
        raise NotFound(UNKNOWN)
    return order


def _why(found: Row, caller: Principal, body: CancelOrder | None) -> str | None:
    """Why staff cancel it; `None` when its customer does."""
    why, is_owner = body.reason if body else None, found["shopper_id"] == caller.id
    if REFUND not in caller.scopes:
        if not is_owner:
            raise Forbidden("Only the customer whose order it is can cancel it.")
        if why is not None:
            raise _invalid("/reason", "Only staff give a reason.")
    elif why is None and not is_owner:
        raise _invalid("/reason", "Staff need a reason to cancel an order.")
    return why


def _invalid(pointer: str, detail: str) -> Unprocessable:
    return Unprocessable("The request is not valid.", errors=[{"pointer": pointer, "detail": detail}])
