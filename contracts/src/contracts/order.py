"""What is said of an order: created, paid, cancelled, fulfilled, returned."""

from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Literal, get_args
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from contracts.event import Event
from contracts.money import MinorUnits, Money
from contracts.one_line import Cleaned

# Longer than any outage that an order may survive, shorter than anybody keeps what is needed of one.
LONG_OVER = timedelta(days=7)

CancelReason = Literal["out_of_stock", "payment_declined", "shopper", "expired"]
DeclineReason = Literal[
    "bank_declined",
    "insufficient_funds",
    "card_expired",
    "card_details",
    "card_not_supported",
    "not_confirmed",
    "payment_method_unusable",
    "amount",
    "try_again",
    "not_completed",
]
"""Why a payment was declined, in the shop's words. On the wire it is a string, so that more may come: whoever
does not know one treats it as none."""

Sku = Annotated[str, Field(min_length=1, max_length=32, description="The product's stock code.")]
Quantity = Annotated[int, Field(ge=1, description="Pieces.")]
Contact = Annotated[
    str | None,
    Field(
        description="The shopper's e-mail address, sealed (Fernet) so that only the service that writes"
        " mail can open it: it never lies readable in a queue, a log or a dead letter."
    ),
]
WhyDeclined = Annotated[
    str | None,
    Field(
        description="Why the payment was declined, in the shop's words: "
        + ", ".join(f"`{reason}`" for reason in get_args(DeclineReason))
        + "; more may come. Absent where it was not, and from older releases."
    ),
]
OrderNumber = Annotated[
    str | None,
    Field(
        description="The order's number as people read and say it, five characters, a dash and five more."
        " Absent from what releases before it have published.",
        examples=["K7Q2X-9XMDA"],
    ),
]


class Line(BaseModel):
    """One product of an order at the price it was sold for."""

    model_config = ConfigDict(frozen=True)

    sku: Sku
    name: Annotated[str, Field(description="The product's name at the time of checkout."), Cleaned]
    quantity: Quantity
    unit_price: Annotated[MinorUnits, Field(description="Price of one piece, in the order's currency.")]


class ShortLine(BaseModel):
    """A line that could not be reserved."""

    model_config = ConfigDict(frozen=True)

    sku: Sku
    wanted: Quantity
    available: Annotated[int, Field(ge=0, description="Pieces on hand when it was tried.")]


class AboutOrder(Event):
    """An event about an order, which is its subject unless the event may happen to an order many times."""

    order_id: Annotated[UUID, Field(description="The order; also the CloudEvents subject.")]

    @property
    def subject(self) -> UUID:
        return self.order_id

    @property
    def about(self) -> UUID:
        return self.order_id


class OrderSnapshot(AboutOrder):
    """What neighbours need of the order to act without asking for it."""

    shopper_id: Annotated[UUID, Field(description="The account or guest who ordered.")]
    contact: Contact = None
    lines: Annotated[tuple[Line, ...], Field(min_length=1, description="One per product.")]
    total: Annotated[Money, Field(description="Sum of quantity times unit price over the lines.")]
    number: OrderNumber = None
    placed_at: Annotated[
        datetime | None, Field(description="When the checkout was accepted, UTC. Absent from older releases.")
    ] = None
    guest: Annotated[
        bool | None, Field(description="Whether a guest placed the order. Absent where that is not known.")
    ] = None
    shipping: Annotated[
        str | None,
        Field(
            description="Where to ship, sealed like `contact`: a JSON object of `name`, `street`, `city`,"
            " `postcode` and `country` (ISO 3166-1 alpha-2). Absent when nothing is shipped."
        ),
    ] = None


class OrderCreated(OrderSnapshot):
    """A checkout was accepted: reserve its stock, hold its money."""

    type: ClassVar[str] = "order.created"
    said_by: ClassVar[str] = "order"

    payment_method: Annotated[
        str,
        Field(
            description="The provider's token for how to pay (`pm_card_visa`); never a card number. Empty"
            " when there is nothing to pay."
        ),
    ]
    deadline: Annotated[datetime, Field(description="When a pending order expires, UTC.")]
    return_url: Annotated[
        str | None,
        Field(
            description="Where the shopper goes after she has been at her bank's page. Absent when she cannot"
            " be sent there: a card whose bank asks is then declined."
        ),
    ] = None

    def is_long_over(self, now: datetime) -> bool:
        """Whether the order ended so long ago that a consumer may have forgotten what it did for it: then a
        late copy of this event must not begin it anew."""
        return self.deadline + LONG_OVER < now


class OrderPaid(OrderSnapshot):
    """The money was captured: the saga's pivot. Nothing that follows can fail for good."""

    type: ClassVar[str] = "order.paid"
    said_by: ClassVar[str] = "payment"

    payment_id: Annotated[
        str,
        Field(
            description="The provider's id of the captured payment, or `free_…`: there was nothing to pay."
        ),
    ]


class OrderCancelled(OrderSnapshot):
    """The order is off: whoever did something for it undoes it, whoever has not yet refuses to."""

    type: ClassVar[str] = "order.cancelled"
    said_by: ClassVar[str] = "order"

    reason: Annotated[CancelReason, Field(description="Why the order ended.")]
    was_paid: Annotated[bool, Field(description="Whether order had heard of the capture when it cancelled.")]
    short: Annotated[
        tuple[ShortLine, ...], Field(description="The lines that were missing, when out of stock.")
    ] = ()
    decline_reason: WhyDeclined = None
    cancelled_by: Annotated[
        str | None,
        Field(
            description="`staff` when staff cancelled it; the reason is `shopper` then, too.",
            examples=["staff"],
        ),
    ] = None


class OrderFulfilled(AboutOrder):
    """The order has left for its shopper: from here on it is returned, not cancelled."""

    type: ClassVar[str] = "order.fulfilled"
    said_by: ClassVar[str] = "order"

    number: OrderNumber = None


class OrderReturned(AboutOrder):
    """Something of a paid order goes back: goods that were received, money that staff give back, or both.

    It happens to an order as often as something of it goes back, so it has a subject of its own.
    """

    type: ClassVar[str] = "order.returned"
    said_by: ClassVar[str] = "order"

    return_id: Annotated[UUID, Field(description="This return or refund; also the CloudEvents subject.")]
    shopper_id: Annotated[UUID, Field(description="The account or guest who ordered.")]
    contact: Contact = None
    number: OrderNumber = None
    lines: Annotated[
        tuple[Line, ...], Field(description="What goes back on the shelf; none when only money goes back.")
    ] = ()
    amount: Annotated[Money, Field(description="What is refunded; 0 when all of it went back before.")]
    by: Annotated[
        str,
        Field(description="`return`: goods came back; `staff`: staff give money back.", examples=["return"]),
    ] = "return"

    @property
    def subject(self) -> UUID:
        return self.return_id


class OrderRefundSettled(AboutOrder):
    """A refund had come back, and staff gave its money to the shopper otherwise: it is not made again."""

    type: ClassVar[str] = "order.refund_settled"
    said_by: ClassVar[str] = "order"

    refund_id: Annotated[UUID, Field(description="The refund that came back; also the CloudEvents subject.")]
    amount: Annotated[Money, Field(description="What the shopper has otherwise.")]

    @property
    def subject(self) -> UUID:
        return self.refund_id
