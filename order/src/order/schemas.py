"""The HTTP models of orders: requests, and responses, which are built directly from rows (see `views`)."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, WithJsonSchema

from chassis.http.problems import Body
from chassis.messaging.encryption import LONGEST
from contracts import CancelReason, Line, MailAddress, Money, ShortLine, Sku
from contracts.order import WhyDeclined
from order.domain import Address, Status
from order.ids import NUMBER_PATTERN, read_number
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

Moment = Annotated[AwareDatetime, Field(ge=datetime(1970, 1, 1, tzinfo=UTC))]


class CancelOrder(Body):
    """Empty, unless staff cancel the order."""

    reason: Annotated[Reason | None, Field(description="Why staff cancel the order; required for them.")] = (
        None
    )


class ClaimOrder(Body):
    """The token of the link in the receipt."""

    token: Annotated[str, Field(max_length=LONGEST)]


class LookUp(Body):
    """The number in the mail that confirmed the order, and the address it was sent to."""

    number: TypedNumber
    email: MailAddress


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


class Progress(BaseModel):
    """How far an order has come, without names and addresses."""

    action: PendingAction
    lines: list[Line]
    created_at: datetime
    deadline: datetime
    paid_at: datetime | None
    cancelled_at: datetime | None
    reason: CancelReason | None
    short: list[ShortLine]
    decline_reason: WhyDeclined
    refunded_at: datetime | None


class OrderView(Accepted, Progress):
    """An order. `stock_released_at`, `voided_at` and `refunded_at` show which compensations of a cancelled
    one are done."""

    # The parts of an address have defaults, and are always there.
    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    shopper_id: Annotated[
        UUID, Field(description="The owner: who placed it, or the account that it was moved to.")
    ]
    shipping: Address | None
    fulfilled_at: Annotated[datetime | None, Field(description="When the goods were shipped.")]
    cancelled_by: Annotated[str | None, Field(description="`staff` if staff cancelled it.")]
    stock_released_at: datetime | None
    voided_at: datetime | None
    disputes: list[DisputeView]
    refunded: Annotated[Money, Field(description="What was refunded so far, less failed refunds.")]
    failed_refunds: list[FailedRefund]
    returns: list[ReturnView]


class OrderFilters(BaseModel):
    """The query parameters of the list."""

    status: Status | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    before: Annotated[UUID | None, Field(description="The `next` of the previous page.")] = None
    shopper_id: Annotated[UUID | None, Field(description="For staff: the owner of the orders.")] = None
    id: Annotated[list[UUID] | None, Field(max_length=100, description="Only these.")] = None
    number: Annotated[TypedNumber | None, Field(description="Only the order with this number.")] = None
    email_sha256: Annotated[
        str | None,
        Field(
            pattern="^[0-9a-f]{64}$",
            description="For staff: the address that the orders were placed with. The SHA-256, in hexadecimal"
            " digits, of the address in lower case with its domain in ASCII, since URLs are logged.",
        ),
    ] = None
    sku: Annotated[Sku | None, Field(description="For staff: a product in the orders.")] = None
    placed_from: Annotated[Moment | None, Field(description="For staff: placed then or later.")] = None
    placed_before: Annotated[Moment | None, Field(description="For staff: placed earlier.")] = None

    def for_staff(self) -> list[str]:
        """Those of the given filters that only staff may use, whatever they say."""
        return [name for name in _FOR_STAFF if getattr(self, name) is not None]


_FOR_STAFF = ("email_sha256", "sku", "placed_from", "placed_before")


class OrderPage(BaseModel):
    """Newest first; `next` is the `before` of the next page, or null on the last page."""

    items: list[OrderView]
    next: str | None


class StreamLink(BaseModel):
    """The URL of the order's event stream, for a page's `EventSource`."""

    href: str
    expires_in: Annotated[int, Field(description="Seconds within which it can be opened.")]


class LookedUp(Progress):
    """What a lookup shows of an order: no names and no addresses."""

    number: Number
    status: Status
    total: Money
    events: StreamLink


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
