"""The events about an order's payment, besides `order.paid`."""

from datetime import datetime
from typing import Annotated
from uuid import UUID, uuid5

from pydantic import Field

from contracts.currency import Money
from contracts.order import AboutOrder, Contact, OrderNumber, WhyDeclined

NOT_CONFIRMED = "not_confirmed"
"""The code of `payment.declined` if the shopper did not confirm with her bank in time."""

PaymentId = Annotated[
    str,
    Field(description="The provider's id of the payment (`pi_…`), or `free_…`: there was nothing to pay."),
]


class PaymentActionRequired(AboutOrder, type="payment.action_required", publisher="payment"):
    """The shopper's bank requires her to confirm the payment on its page (3-D Secure). Until then nothing is
    held."""

    payment_id: PaymentId
    url: Annotated[
        str,
        Field(
            description="The page's URL, encrypted (Fernet) so that only order can read it, for the shopper:"
            " it lets its holder act for her. It is never readable in a queue, a log or a dead letter."
        ),
    ]
    expires_at: Annotated[
        datetime, Field(description="When the confirmation expires, UTC; then the payment is declined.")
    ]


class PaymentAuthorized(AboutOrder, type="payment.authorized", publisher="payment"):
    """The money is held at the shopper's bank, not captured."""

    payment_id: PaymentId
    total: Annotated[Money, Field(description="The amount held.")]


class PaymentDeclined(AboutOrder, type="payment.declined", publisher="payment"):
    """The payment was declined for good: nothing was captured, and any authorization is voided."""

    code: Annotated[
        str,
        Field(
            description="The provider's decline code, for example `insufficient_funds`; `generic_decline` for"
            " a card that is reported as lost, stolen or misused; `not_confirmed` if the shopper did not"
            " confirm with her bank in time."
        ),
    ]
    decline_reason: WhyDeclined = None


class PaymentVoided(AboutOrder, type="payment.voided", publisher="payment"):
    """An authorization was voided before anything was captured."""

    payment_id: PaymentId


class PaymentRefunded(AboutOrder, type="payment.refunded", publisher="payment"):
    """All of the captured money was refunded; this is the last refund."""

    payment_id: PaymentId
    contact: Contact = None
    total: Annotated[
        Money, Field(description="The amount of this refund: all that was not refunded in parts before.")
    ]
    number: OrderNumber = None
    before: Annotated[
        Money | None, Field(description="The amount refunded in parts before; absent if none.")
    ] = None


class PaymentRefundedInPart(
    AboutOrder, type="payment.refunded_in_part", publisher="payment", subject="refund_id"
):
    """A part of the captured money was refunded. An order can have several such refunds, so each has a
    subject of its own.
    """

    refund_id: Annotated[
        UUID,
        Field(
            description="The refund: the id of its return, or one derived from the provider's id."
            " Also the CloudEvents subject."
        ),
    ]
    payment_id: PaymentId
    amount: Annotated[Money, Field(description="The amount of this refund.")]
    by: Annotated[
        str,
        Field(
            description="`return`: for returned goods; `staff`: by staff; `provider`: made in the payment"
            " provider's dashboard; `again`: repeats one that had failed.",
            examples=["return"],
        ),
    ]
    contact: Contact = None
    number: OrderNumber = None


class PaymentRefundFailed(AboutOrder, type="payment.refund_failed", publisher="payment", subject="refund_id"):
    """A refund failed after it was made, as can happen for a month: the money is back with the shop. Each
    such refund has a subject of its own.
    """

    refund_id: Annotated[
        UUID,
        Field(description="The refund that failed; for a full refund an id derived from the provider's."),
    ]
    payment_id: PaymentId
    amount: Annotated[Money, Field(description="The amount that came back to the shop.")]
    code: Annotated[str, Field(description="The provider's reason, for example `expired_or_canceled_card`.")]
    contact: Contact = None
    number: OrderNumber = None


class PaymentDisputed(AboutOrder, type="payment.disputed", publisher="payment"):
    """The shopper's bank disputes the payment, or has decided a dispute: one event for each status, so each
    has a subject of its own.
    """

    dispute_id: Annotated[UUID, Field(description="The dispute; derived from the provider's id.")]
    payment_id: PaymentId
    amount: Annotated[Money, Field(description="The disputed amount.")]
    reason: Annotated[str, Field(description="The bank's reason, for example `fraudulent`.")]
    status: Annotated[
        str,
        Field(
            description="The provider's: `needs_response`, `under_review`, `won` or `lost`; `warning_…`"
            " while the bank only inquires and has taken nothing."
        ),
    ]
    due_by: Annotated[datetime | None, Field(description="Until when the shop can respond, UTC.")] = None
    noted_at: Annotated[
        datetime, Field(description="When payment learned of this status, UTC: the latest counts.")
    ]

    @property
    def subject(self) -> UUID:
        return uuid5(self.dispute_id, self.status)
