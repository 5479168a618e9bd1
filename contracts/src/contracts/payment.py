"""What payment says of an order's money, besides `order.paid`."""

from typing import Annotated, ClassVar

from pydantic import Field

from contracts.money import Money
from contracts.order import AboutOrder, Contact, OrderNumber, WhyDeclined

PaymentId = Annotated[
    str,
    Field(description="The provider's id of the payment (`pi_…`), or `free_…`: there was nothing to pay."),
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
            " a card that is reported as lost, stolen or misused."
        ),
    ]
    decline_reason: WhyDeclined = None


class PaymentVoided(AboutOrder):
    """A hold was given back before anything was taken."""

    type: ClassVar[str] = "payment.voided"
    said_by: ClassVar[str] = "payment"

    payment_id: PaymentId


class PaymentRefunded(AboutOrder):
    """All that was captured went back to the shopper."""

    type: ClassVar[str] = "payment.refunded"
    said_by: ClassVar[str] = "payment"

    payment_id: PaymentId
    contact: Contact = None
    total: Annotated[Money, Field(description="The amount refunded: all of it.")]
    number: OrderNumber = None
