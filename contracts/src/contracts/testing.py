"""Builders of events for everybody's tests. By default all of them are about one order, consistent with each
other and valid; each takes changes of its fields by name. Services never import this module.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID, uuid4

from contracts import (
    Event,
    GuestMerged,
    Line,
    MailResendRequested,
    Money,
    OrderCancelled,
    OrderCreated,
    OrderFulfilled,
    OrderPaid,
    OrderRefundSettled,
    OrderReturned,
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


def order_created(**changes: Any) -> OrderCreated:
    return _snapshot(OrderCreated, changes, payment_method="pm_card_visa", deadline=DEADLINE)


def order_paid(**changes: Any) -> OrderPaid:
    return _snapshot(OrderPaid, changes, payment_id=PAYMENT_ID)


def order_cancelled(**changes: Any) -> OrderCancelled:
    return _snapshot(OrderCancelled, changes, reason="shopper", was_paid=False)


def order_fulfilled(**changes: Any) -> OrderFulfilled:
    return _event(OrderFulfilled, changes, order_id=ORDER_ID, number=NUMBER)


def order_returned(**changes: Any) -> OrderReturned:
    """One of the two mugs came back."""
    return _event(
        OrderReturned,
        changes,
        order_id=ORDER_ID,
        return_id=RETURN_ID,
        shopper_id=SHOPPER_ID,
        contact=CONTACT,
        number=NUMBER,
        lines=(Line(sku="MUG", name="Mug", quantity=1, unit_price=1000),),
        amount=gbp(1000),
    )


def order_refund_settled(**changes: Any) -> OrderRefundSettled:
    return _event(OrderRefundSettled, changes, order_id=ORDER_ID, refund_id=RETURN_ID, amount=gbp(1000))


def payment_action_required(**changes: Any) -> PaymentActionRequired:
    return _payment(PaymentActionRequired, changes, url="encrypted URL", expires_at=DEADLINE)


def payment_authorized(**changes: Any) -> PaymentAuthorized:
    return _payment(PaymentAuthorized, changes, total=TOTAL)


def payment_declined(**changes: Any) -> PaymentDeclined:
    declined = {"code": "insufficient_funds", "decline_reason": "insufficient_funds"}
    return _event(PaymentDeclined, changes, order_id=ORDER_ID, **declined)


def payment_voided(**changes: Any) -> PaymentVoided:
    return _payment(PaymentVoided, changes)


def payment_refunded(**changes: Any) -> PaymentRefunded:
    return _payment(PaymentRefunded, changes, contact=CONTACT, total=TOTAL, number=NUMBER)


def payment_refunded_in_part(**changes: Any) -> PaymentRefundedInPart:
    """The refund of `order_returned()`."""
    refund = {"refund_id": RETURN_ID, "amount": gbp(1000), "by": "return"}
    return _payment(PaymentRefundedInPart, changes, contact=CONTACT, number=NUMBER, **refund)


def payment_refund_failed(**changes: Any) -> PaymentRefundFailed:
    """The refund of `order_returned()`."""
    refund = {"refund_id": RETURN_ID, "amount": gbp(1000), "code": "expired_or_canceled_card"}
    return _payment(PaymentRefundFailed, changes, contact=CONTACT, number=NUMBER, **refund)


def payment_disputed(**changes: Any) -> PaymentDisputed:
    dispute = {"dispute_id": DISPUTE_ID, "reason": "fraudulent", "status": "needs_response"}
    return _payment(PaymentDisputed, changes, amount=TOTAL, noted_at=PLACED_AT, **dispute)


def stock_reserved(**changes: Any) -> StockReserved:
    return _event(StockReserved, changes, order_id=ORDER_ID)


def stock_rejected(**changes: Any) -> StockRejected:
    """One mug is left."""
    short = (ShortLine(sku="MUG", wanted=2, available=1),)
    return _event(StockRejected, changes, order_id=ORDER_ID, short=short)


def stock_released(**changes: Any) -> StockReleased:
    return _event(StockReleased, changes, order_id=ORDER_ID, restocked=False)


def stock_returned(**changes: Any) -> StockReturned:
    return _event(StockReturned, changes, order_id=ORDER_ID, return_id=RETURN_ID)


def saga_nudged(**changes: Any) -> SagaNudged:
    """Another nudge with each call."""
    return _event(SagaNudged, changes, order_id=ORDER_ID, nudge_id=uuid4())


def user_registered(**changes: Any) -> UserRegistered:
    return _event(UserRegistered, changes, user_id=SHOPPER_ID, contact=CONTACT)


def guest_merged(**changes: Any) -> GuestMerged:
    return _event(GuestMerged, changes, guest_id=GUEST_ID, user_id=SHOPPER_ID)


def mail_resend_requested(**changes: Any) -> MailResendRequested:
    """Another request with each call."""
    return _event(MailResendRequested, changes, resend_id=uuid4(), subject_id=ORDER_ID, reason="receipt")


def _snapshot(event: type[E], changes: dict[str, Any], **default: Any) -> E:
    """The total is the sum of the lines, unless it is among the changes."""
    lines = tuple(changes.get("lines", LINES))
    return _event(
        event,
        changes,
        order_id=ORDER_ID,
        shopper_id=SHOPPER_ID,
        contact=CONTACT,
        lines=lines,
        total=gbp(sum(one.quantity * one.unit_price for one in lines)),
        number=NUMBER,
        placed_at=PLACED_AT,
        guest=False,
        shipping=SHIPPING,
        **default,
    )


def _payment(event: type[E], changes: dict[str, Any], **default: Any) -> E:
    return _event(event, changes, order_id=ORDER_ID, payment_id=PAYMENT_ID, **default)


def _event(event: type[E], changes: dict[str, Any], **default: Any) -> E:
    """An event ignores fields that it does not know; a builder must not, or a mistyped change would pass."""
    if unknown := changes.keys() - event.model_fields.keys():
        raise TypeError(f"{event.__name__} has no {', '.join(sorted(unknown))}")
    return event(**default | changes)
