"""What payment says of an order's money, besides `order.paid`."""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID, uuid5

from pydantic import Field

from contracts.money import Money
from contracts.order import AboutOrder, Contact, OrderNumber, WhyDeclined

NOT_CONFIRMED = "not_confirmed"
"""The code of `payment.declined` when the shopper has not confirmed with her bank in time."""

PaymentId = Annotated[
    str,
    Field(description="The provider's id of the payment (`pi_…`), or `free_…`: there was nothing to pay."),
]


class PaymentActionRequired(AboutOrder):
    """The shopper's bank wants her to confirm the payment at its page. Nothing is held before she has."""

    type: ClassVar[str] = "payment.action_required"
    said_by: ClassVar[str] = "payment"

    payment_id: PaymentId
    url: Annotated[
        str,
        Field(
            description="The page's address, sealed (Fernet) so that only order can open it, for the shopper:"
            " whoever has it can act for her. It never lies readable in a queue, a log or a dead letter."
        ),
    ]
    expires_at: Annotated[
        datetime, Field(description="Until when she may confirm, UTC; then the payment is declined.")
    ]


class PaymentAuthorized(AboutOrder):
    """The money is held at the shopper's bank, not taken."""

    type: ClassVar[str] = "payment.authorized"
    said_by: ClassVar[str] = "payment"

    payment_id: PaymentId
    total: Annotated[Money, Field(description="The amount held.")]


class PaymentDeclined(AboutOrder):
    """The provider refused for good: nothing was taken, and a hold that remains is voided."""

    type: ClassVar[str] = "payment.declined"
    said_by: ClassVar[str] = "payment"

    code: Annotated[
        str,
        Field(
            description="The provider's decline code, for example `insufficient_funds`; `generic_decline` for"
            " a card that is reported as lost, stolen or misused; `not_confirmed` when the shopper has not"
            " confirmed with her bank in time."
        ),
    ]
    decline_reason: WhyDeclined = None


class PaymentVoided(AboutOrder):
    """A hold was given back before anything was taken."""

    type: ClassVar[str] = "payment.voided"
    said_by: ClassVar[str] = "payment"

    payment_id: PaymentId


class PaymentRefunded(AboutOrder):
    """All that was captured went back to the shopper, here the last of it."""

    type: ClassVar[str] = "payment.refunded"
    said_by: ClassVar[str] = "payment"

    payment_id: PaymentId
    contact: Contact = None
    total: Annotated[Money, Field(description="The amount refunded: all that had not gone back in parts.")]
    number: OrderNumber = None
    before: Annotated[
        Money | None, Field(description="What had gone back in parts before; absent when that is nothing.")
    ] = None


class PaymentRefundedInPart(AboutOrder):
    """A part of what was captured went back to the shopper. An order may have several such refunds, so each
    has a subject of its own.
    """

    type: ClassVar[str] = "payment.refunded_in_part"
    said_by: ClassVar[str] = "payment"

    refund_id: Annotated[
        UUID,
        Field(
            description="The refund: the id of the return that it is for, or one made of the provider's id."
            " Also the CloudEvents subject."
        ),
    ]
    payment_id: PaymentId
    amount: Annotated[Money, Field(description="The amount refunded this time.")]
    by: Annotated[
        str,
        Field(
            description="`return`: for goods that came back; `staff`: given back by staff; `provider`: made"
            " at the payment provider by somebody; `again`: one that had failed, made again.",
            examples=["return"],
        ),
    ]
    contact: Contact = None
    number: OrderNumber = None

    @property
    def subject(self) -> UUID:
        return self.refund_id


class PaymentRefundFailed(AboutOrder):
    """A refund that had been made came back, as may happen for a month: the shop has the money, and the
    shopper does not. Each such refund has a subject of its own.
    """

    type: ClassVar[str] = "payment.refund_failed"
    said_by: ClassVar[str] = "payment"

    refund_id: Annotated[
        UUID, Field(description="The refund that failed; of all of the money, one made of the provider's id.")
    ]
    payment_id: PaymentId
    amount: Annotated[Money, Field(description="What came back to the shop.")]
    code: Annotated[str, Field(description="The provider's reason, for example `expired_or_canceled_card`.")]
    contact: Contact = None
    number: OrderNumber = None

    @property
    def subject(self) -> UUID:
        return self.refund_id


class PaymentDisputed(AboutOrder):
    """The shopper's bank asks for the money, has taken it, or has decided: one event for each status of a
    dispute, so each has a subject of its own.
    """

    type: ClassVar[str] = "payment.disputed"
    said_by: ClassVar[str] = "payment"

    dispute_id: Annotated[UUID, Field(description="The dispute; made of the provider's id of it.")]
    payment_id: PaymentId
    amount: Annotated[Money, Field(description="What is disputed.")]
    reason: Annotated[str, Field(description="The bank's reason, for example `fraudulent`.")]
    status: Annotated[
        str,
        Field(
            description="The provider's: `needs_response`, `under_review`, `won` or `lost`; `warning_…` while"
            " the bank only asks and has taken nothing."
        ),
    ]
    due_by: Annotated[datetime | None, Field(description="Until when the shop may answer, UTC.")] = None
    noted_at: Annotated[
        datetime, Field(description="When payment heard of this status, UTC: the last counts.")
    ]

    @property
    def subject(self) -> UUID:
        return uuid5(self.dispute_id, self.status)
