"""The HTTP models of orders: requests, and responses, which are built directly from rows (see `views`)."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, WithJsonSchema

from chassis.http.problems import Body
from contracts import CancelReason, Line, MailAddress, Money, OneLine, ShortLine, Sku
from contracts.currency import CurrencyCode
from contracts.order import WhyDeclined
from contracts.text import PATTERN as ONE_LINE
from order.domain import Address, Status
from order.ids import NUMBER_PATTERN, read_number
from order.pricing import Expected
from order.returns_schemas import DisputeView, FailedRefund, Reason, ReturnView

Number = Annotated[
    str,
    Field(description="A short number for people; can be used instead of the id.", examples=["K7Q2X-9XMDA"]),
]


def _valid_number(text: str) -> str:
    number = read_number(text)
    if number is None:
        raise ValueError("must be an order's number, such as K7Q2X-9XMDA")
    return number


TypedNumber = Annotated[
    str, AfterValidator(_valid_number), WithJsonSchema({"type": "string", "pattern": NUMBER_PATTERN})
]
Line80 = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80, pattern=ONE_LINE), OneLine
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
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=16, pattern=ONE_LINE), OneLine
    ]
    country: Annotated[str, Field(examples=["GB"]), AfterValidator(_valid_country)]


class ExpectedTotal(Body):
    """The total that the page showed: 409 if it is higher now, or in another currency."""

    amount: Annotated[int, Field(ge=0, description="Minor units of the currency.")]
    currency: CurrencyCode


class ExpectedLine(Body):
    """A line of the cart that the page showed."""

    sku: Sku
    quantity: Annotated[int, Field(ge=1, description="Pieces.")]


def _each_once(lines: list[ExpectedLine]) -> list[ExpectedLine]:
    if len({line.sku for line in lines}) < len(lines):
        raise ValueError("each sku may occur only once")
    return lines


ExpectedLines = Annotated[
    list[ExpectedLine],
    Field(max_length=1000, description="The lines that the page showed: 409 if the cart has others."),
    AfterValidator(_each_once),
]


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

    def expectations(self) -> Expected:
        """What the shopper expects."""
        total, lines = self.expected_total, self.expected_lines
        return Expected(
            None if total is None else Money(amount=total.amount, currency=total.currency),
            None if lines is None else {line.sku: line.quantity for line in lines},
        )

    def payload(self) -> bytes:
        """The bytes that an idempotency key is compared by. A newer field that is missing is left out, so
        that a repeat that reaches the previous release is the same request."""
        newer = type(self).model_fields.keys() - _ORIGINAL_FIELDS
        return self.model_dump_json(exclude={name for name in newer if getattr(self, name) is None}).encode()


_ORIGINAL_FIELDS = {"payment_method", "email", "shipping", "expires_in"}


class NoBody(Body):
    """No body, or an empty object: fields that would be ignored are refused."""


class CancelOrder(Body):
    """Empty, unless staff cancel the order."""

    reason: Annotated[Reason | None, Field(description="Why staff cancel the order; required for them.")] = (
        None
    )


class Links(BaseModel):
    """Related resources."""

    self: str
    timeline: str
    events: str


class Accepted(BaseModel):
    """The checkout was accepted; the order ends paid or cancelled, at its deadline at the latest."""

    order_id: UUID
    number: Number
    status: Status
    total: Money
    links: Links


class Action(BaseModel):
    """The shopper's bank asks her to confirm the payment at `url`, before `expires_at`."""

    url: str
    expires_at: datetime


PendingAction = Annotated[
    Action | None,
    Field(description="What the shopper of a pending order has to do; shown only to her, until it expires."),
]


class OrderView(Accepted):
    """An order. `stock_released_at`, `voided_at` and `refunded_at` show which compensations of a cancelled
    one are done."""

    action: PendingAction
    shopper_id: Annotated[
        UUID, Field(description="The owner: who placed it, or the account that it was moved to.")
    ]
    lines: list[Line]
    shipping: Address | None
    created_at: datetime
    deadline: datetime
    paid_at: datetime | None
    fulfilled_at: Annotated[datetime | None, Field(description="When the goods were shipped.")]
    cancelled_at: datetime | None
    cancelled_by: Annotated[str | None, Field(description="`staff` if staff cancelled it.")]
    reason: CancelReason | None
    short: list[ShortLine]
    decline_reason: WhyDeclined
    stock_released_at: datetime | None
    voided_at: datetime | None
    refunded_at: datetime | None
    disputes: list[DisputeView]
    refunded: Annotated[Money, Field(description="What was refunded so far, less failed refunds.")]
    failed_refunds: list[FailedRefund]
    returns: list[ReturnView]


class OrderPage(BaseModel):
    """Newest first; `next` is the `before` of the next page, or null on the last page."""

    items: list[OrderView]
    next: str | None


class TimelineEvent(BaseModel):
    """One event of the order's saga, published by the service `said_by`; `causation_id` is the id of the
    event that led to it."""

    id: str
    type: str
    said_by: str
    time: datetime
    causation_id: str | None
    traceparent: str | None
    data: dict[str, Any]


class Timeline(BaseModel):
    """The events of the order's saga so far, by time."""

    order_id: UUID
    number: Number
    events: list[TimelineEvent]


class StreamTicket(BaseModel):
    """Opens the event stream of one order until it expires; `events` is the URL with the ticket."""

    ticket: str
    expires_in: Annotated[int, Field(description="Seconds within which the stream can be opened.")]
    events: str


_CODES = """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT
    BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH
    ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT
    HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS
    LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI
    NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG
    SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG
    UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
"""
COUNTRIES = frozenset(_CODES.split())
