"""The events about an order and its stock, and the nudge by which a stuck saga goes on."""

from datetime import datetime, timedelta
from typing import Annotated, Literal, get_args
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from contracts.currency import MinorUnits, Money
from contracts.event import Event
from contracts.text import Cleaned

# Longer than any outage that an order can survive, shorter than any service keeps its rows about one.
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
"""Why a payment was declined, in the shop's terms. On the wire it is a string, so that more can be added:
consumers treat unknown ones as none."""

Sku = Annotated[str, Field(min_length=1, max_length=32, description="The product's stock code.")]
Quantity = Annotated[int, Field(ge=1, description="Pieces.")]
Contact = Annotated[
    str | None,
    Field(
        description="The shopper's e-mail address, encrypted (Fernet) so that only the service that sends"
        " mail can read it: it is never readable in a queue, a log or a dead letter."
    ),
]
WhyDeclined = Annotated[
    str | None,
    Field(
        description="Why the payment was declined, in the shop's terms: "
        + ", ".join(f"`{reason}`" for reason in get_args(DeclineReason))
        + "; more may be added. Absent if it was not declined, and from older releases."
    ),
]
OrderNumber = Annotated[
    str | None,
    Field(
        description="The order's number for people: five characters, a dash and five more. Absent in events"
        " of releases before it.",
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
    available: Annotated[int, Field(ge=0, description="Pieces that were available.")]


class AboutOrder(Event, subject="order_id"):
    """An event about an order. The order is its subject, unless an order can have several events of that
    type."""

    order_id: Annotated[UUID, Field(description="The order; also the CloudEvents subject.")]

    @property
    def about(self) -> UUID:
        return self.order_id


class OrderSnapshot(AboutOrder):
    """The data about an order that consumers need to act without reading it from the order service."""

    shopper_id: Annotated[UUID, Field(description="The account or guest who ordered.")]
    contact: Contact = None
    lines: Annotated[tuple[Line, ...], Field(min_length=1, description="One per product.")]
    total: Annotated[Money, Field(description="Sum of quantity times unit price over the lines.")]
    number: OrderNumber = None
    placed_at: Annotated[
        datetime | None, Field(description="When the checkout was accepted, UTC. Absent from older releases.")
    ] = None
    guest: Annotated[
        bool | None, Field(description="Whether a guest placed the order. Absent if unknown.")
    ] = None
    shipping: Annotated[
        str | None,
        Field(
            description="The shipping address, encrypted like `contact`, for the service that ships: JSON"
            " with `name`, `company`, `street`, `line2` (a second line below the street), `city`, `state` (or"
            " province), `postcode`, `country` (ISO 3166-1 alpha-2), `phone` and `vat_id`, each a text of one"
            " line. `name`, `street`, `city` and `country` are never empty; an older release has these and"
            " `postcode` only. Absent when nothing is shipped."
        ),
    ] = None


class OrderCreated(OrderSnapshot, type="order.created", publisher="order"):
    """A checkout was accepted: its stock is to be reserved, its money authorized."""

    payment_method: Annotated[
        str,
        Field(
            description="The provider's payment method (`pm_card_visa`); never a card number. Empty"
            " when there is nothing to pay."
        ),
    ]
    deadline: Annotated[datetime, Field(description="When a pending order expires, UTC.")]
    return_url: Annotated[
        str | None,
        Field(
            description="Where the bank's page sends the shopper back to. Absent if she cannot be sent to the"
            " bank: a card that needs it is then declined."
        ),
    ] = None

    def is_long_over(self, now: datetime) -> bool:
        """Whether the order ended so long ago that a consumer may have deleted its rows: then a late copy of
        this event must not start the saga again."""
        return self.deadline + LONG_OVER < now


class OrderPaid(OrderSnapshot, type="order.paid", publisher="payment"):
    """The money was captured: the saga's pivot. No later step can fail permanently."""

    payment_id: Annotated[
        str,
        Field(
            description="The provider's id of the captured payment, or `free_…`: there was nothing to pay."
        ),
    ]


class OrderCancelled(OrderSnapshot, type="order.cancelled", publisher="order"):
    """The order was cancelled: services undo their steps for it, and refuse those not yet done."""

    reason: Annotated[CancelReason, Field(description="Why the order ended.")]
    was_paid: Annotated[bool, Field(description="Whether order had received `order.paid` when it cancelled.")]
    short: Annotated[tuple[ShortLine, ...], Field(description="The lines that were out of stock.")] = ()
    decline_reason: WhyDeclined = None
    cancelled_by: Annotated[
        str | None,
        Field(
            description="`staff` when staff cancelled it; the reason is `shopper` then, too.",
            examples=["staff"],
        ),
    ] = None


class OrderFulfilled(AboutOrder, type="order.fulfilled", publisher="order"):
    """The order was shipped: from now on it can be returned, not cancelled."""

    number: OrderNumber = None


class OrderAnonymised(AboutOrder, type="order.anonymised", publisher="order"):
    """The order is over and its account was deleted: address and name are erased from it, and amounts and
    lines stay for the books. Every service that has personal data about the order erases it."""


class OrderReturned(AboutOrder, type="order.returned", publisher="order", subject="return_id"):
    """A return or refund of a paid order: goods that staff received, money that staff give back, or both.

    An order can have several, so each has a subject of its own.
    """

    return_id: Annotated[UUID, Field(description="This return or refund; also the CloudEvents subject.")]
    shopper_id: Annotated[UUID, Field(description="The account or guest who ordered.")]
    contact: Contact = None
    number: OrderNumber = None
    lines: Annotated[
        tuple[Line, ...], Field(description="The lines to restock; none if only money goes back.")
    ] = ()
    amount: Annotated[Money, Field(description="The amount to refund; 0 if all was refunded before.")]
    by: Annotated[
        str,
        Field(description="`return`: goods were returned; `staff`: staff refund money.", examples=["return"]),
    ] = "return"


class OrderRefundSettled(AboutOrder, type="order.refund_settled", publisher="order", subject="refund_id"):
    """Staff gave the money of a failed refund to the shopper in another way: the refund is not repeated."""

    refund_id: Annotated[UUID, Field(description="The refund that failed; also the CloudEvents subject.")]
    amount: Annotated[Money, Field(description="The amount given in another way.")]


class StockReserved(AboutOrder, type="stock.reserved", publisher="product"):
    """All lines of the order are reserved."""


class StockRejected(AboutOrder, type="stock.rejected", publisher="product"):
    """At least one line could not be reserved, so none is."""

    short: Annotated[
        tuple[ShortLine, ...], Field(min_length=1, description="The lines that are out of stock.")
    ]


class StockReleased(AboutOrder, type="stock.released", publisher="product"):
    """The pieces that were reserved or sold for a cancelled order are on hand again."""

    restocked: Annotated[bool, Field(description="True if they were sold, false if only reserved.")]


class StockReturned(AboutOrder, type="stock.returned", publisher="product", subject="return_id"):
    """The goods of a return are on hand again. An order can have several, so each has a subject of its
    own."""

    return_id: Annotated[UUID, Field(description="The return; also the CloudEvents subject.")]


class SagaNudged(AboutOrder, type="saga.nudged", publisher="operator", subject="nudge_id"):
    """The order's saga is stuck: services republish their events about it that are still true.

    Published by an operator, or by a service that has waited too long for an event. Each nudge has a subject
    of its own.
    """

    nudge_id: Annotated[UUID, Field(description="This nudge; also the CloudEvents subject.")]
