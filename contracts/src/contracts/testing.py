"""Builders of events for everybody's tests. By default all of them are about one order, consistent with each
other and valid; each takes changes of its fields by name. Services never import this module.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar
from uuid import UUID, uuid4

from contracts import (
    ConfirmationRequested,
    Event,
    GuestMerged,
    Line,
    MailResendRequested,
    Money,
    OrderAnonymised,
    OrderCancelled,
    OrderCreated,
    OrderFulfilled,
    OrderPaid,
    OrderRefundSettled,
    OrderReturned,
    PasswordChanged,
    PasswordResetRequested,
    PaymentActionRequired,
    PaymentAuthorized,
    PaymentDeclined,
    PaymentDisputed,
    PaymentRefunded,
    PaymentRefundedInPart,
    PaymentRefundFailed,
    PaymentVoided,
    SagaNudged,
    ShortLine,
    StockRejected,
    StockReleased,
    StockReserved,
    StockReturned,
    UserDeleted,
    UserRegistered,
)

ORDER_ID: Final = UUID("0192f0c1-7f3e-7d3a-8f53-3f5a2f6f2a10")
SHOPPER_ID: Final = UUID("5b1f7c1e-8f43-4a53-9a15-0c1df6a5b0aa")
GUEST_ID: Final = UUID("6e0f3c52-5f0a-4a0e-9a40-6a2d1d8f4c11")
RETURN_ID: Final = UUID("0192f0c2-11aa-7b6e-9c1d-2f9a77e0c001")
DISPUTE_ID: Final = UUID("9d6b2e0a-43f5-5b7e-8a1c-4e0f5d2c7b66")
PAYMENT_ID: Final = "pi_1"
NUMBER: Final = "K7Q2X-9XMDA"
CONTACT: Final = "encrypted mail address"
SHIPPING: Final = "encrypted address"
PLACED_AT: Final = datetime.now(UTC)
DEADLINE: Final = PLACED_AT + timedelta(days=1)
"""Later than any test run ends."""

E = TypeVar("E", bound=Event)


def gbp(amount: int) -> Money:
    """Pounds, in pence."""
    return Money(amount=amount, currency="GBP")


def line(sku: str, quantity: int = 1, unit_price: int = 100) -> Line:
    """A line of a product whose name is its sku."""
    return Line(sku=sku, name=sku, quantity=quantity, unit_price=unit_price)


LINES: Final = (Line(sku="MUG", name="Mug", quantity=2, unit_price=1000),)
TOTAL: Final = gbp(2000)


@dataclass(frozen=True)
class Builder(Generic[E]):
    """Builds events of one type: `order_paid(number=None)`.

    `defaults`: the fields that are not changed. A default that is a function gets all fields and returns the
        value.
    """

    event: type[E]
    defaults: Mapping[str, Any]

    def __call__(self, **changes: Any) -> E:
        # An event ignores fields that it does not know; a builder must not, or a mistyped change would pass.
        if unknown := changes.keys() - self.event.model_fields.keys():
            raise TypeError(f"{self.event.__name__} has no {', '.join(sorted(unknown))}")
        fields = {**self.defaults, **changes}
        return self.event(**{name: v(fields) if callable(v) else v for name, v in fields.items()})


def _about_order(event: type[E], **defaults: Any) -> Builder[E]:
    return Builder(event, {"order_id": ORDER_ID, **defaults})


def _snapshot(event: type[E], **defaults: Any) -> Builder[E]:
    """The total is the sum of the lines, unless it is among the changes."""
    return _about_order(
        event,
        shopper_id=SHOPPER_ID,
        contact=CONTACT,
        lines=LINES,
        total=lambda order: gbp(sum(one.quantity * one.unit_price for one in order["lines"])),
        number=NUMBER,
        placed_at=PLACED_AT,
        guest=False,
        shipping=SHIPPING,
        **defaults,
    )


def _payment(event: type[E], **defaults: Any) -> Builder[E]:
    return _about_order(event, payment_id=PAYMENT_ID, **defaults)


def _refund(event: type[E], **defaults: Any) -> Builder[E]:
    """The refund of `order_returned()`."""
    refund = {"refund_id": RETURN_ID, "amount": gbp(1000), "contact": CONTACT, "number": NUMBER}
    return _payment(event, **refund, **defaults)


def _another_id(_: Mapping[str, Any]) -> UUID:
    """For events of which each call builds another one."""
    return uuid4()


def _about_account(event: type[E], **defaults: Any) -> Builder[E]:
    return Builder(event, {"request_id": _another_id, "user_id": SHOPPER_ID, "contact": CONTACT, **defaults})


_MAILED_TOKEN: Final = {"token": "encrypted token", "expires_at": DEADLINE}

order_created = _snapshot(OrderCreated, payment_method="pm_card_visa", deadline=DEADLINE)
order_paid = _snapshot(OrderPaid, payment_id=PAYMENT_ID)
order_cancelled = _snapshot(OrderCancelled, reason="shopper", was_paid=False)
order_anonymised = _about_order(OrderAnonymised)
order_fulfilled = _about_order(OrderFulfilled, number=NUMBER)
order_returned = _about_order(  # one of the two mugs came back
    OrderReturned,
    return_id=RETURN_ID,
    shopper_id=SHOPPER_ID,
    contact=CONTACT,
    number=NUMBER,
    lines=(Line(sku="MUG", name="Mug", quantity=1, unit_price=1000),),
    amount=gbp(1000),
)
order_refund_settled = _about_order(OrderRefundSettled, refund_id=RETURN_ID, amount=gbp(1000))
payment_action_required = _payment(PaymentActionRequired, url="encrypted URL", expires_at=DEADLINE)
payment_authorized = _payment(PaymentAuthorized, total=TOTAL)
payment_declined = _about_order(
    PaymentDeclined, code="insufficient_funds", decline_reason="insufficient_funds"
)
payment_voided = _payment(PaymentVoided)
payment_refunded = _payment(PaymentRefunded, contact=CONTACT, total=TOTAL, number=NUMBER)
payment_refunded_in_part = _refund(PaymentRefundedInPart, by="return")
payment_refund_failed = _refund(PaymentRefundFailed, code="expired_or_canceled_card")
payment_disputed = _payment(
    PaymentDisputed,
    amount=TOTAL,
    noted_at=PLACED_AT,
    dispute_id=DISPUTE_ID,
    reason="fraudulent",
    status="needs_response",
)
stock_reserved = _about_order(StockReserved)
stock_rejected = _about_order(StockRejected, short=(ShortLine(sku="MUG", wanted=2, available=1),))
stock_released = _about_order(StockReleased, restocked=False)
stock_returned = _about_order(StockReturned, return_id=RETURN_ID)
saga_nudged = _about_order(SagaNudged, nudge_id=_another_id)
user_registered = Builder(UserRegistered, {"user_id": SHOPPER_ID, "contact": CONTACT, **_MAILED_TOKEN})
user_password_reset_requested = _about_account(PasswordResetRequested, **_MAILED_TOKEN)
user_confirmation_requested = _about_account(ConfirmationRequested, **_MAILED_TOKEN)
user_password_changed = _about_account(PasswordChanged)
user_deleted = Builder(UserDeleted, {"user_id": SHOPPER_ID, "contact": CONTACT})
guest_merged = Builder(GuestMerged, {"guest_id": GUEST_ID, "user_id": SHOPPER_ID})
mail_resend_requested = Builder(
    MailResendRequested, {"resend_id": _another_id, "subject_id": ORDER_ID, "reason": "receipt"}
)
