"""Events about one order, as other services publish them."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from contracts import (
    Line,
    Money,
    OrderCancelled,
    OrderPaid,
    PaymentRefunded,
    PaymentRefundFailed,
    PaymentVoided,
    ShortLine,
    UserRegistered,
)

ORDER = UUID("11111111-2222-4333-8444-555555555555")
SHOPPER = UUID("99999999-2222-4333-8444-555555555555")
LINES = (
    Line(sku="MUG", name="Mug <b>large</b>", quantity=2, unit_price=1250),
    Line(sku="TEA", name="Earl Grey", quantity=1, unit_price=499),
)
SNAPSHOT: dict[str, Any] = {
    "order_id": ORDER,
    "shopper_id": SHOPPER,
    "contact": "sealed",
    "lines": LINES,
    "total": Money(amount=2999, currency="GBP"),
    "number": "K7Q2X-9XMDA",
    "placed_at": datetime(2026, 11, 27, 9, 58, tzinfo=UTC),
}


def paid(**changed: Any) -> OrderPaid:
    return OrderPaid(**SNAPSHOT | {"payment_id": "pi_1"} | changed)


def voided() -> PaymentVoided:
    return PaymentVoided(order_id=ORDER, payment_id="pi_1")


def cancelled(reason: str = "shopper", **changed: Any) -> OrderCancelled:
    return OrderCancelled(**SNAPSHOT | {"reason": reason, "was_paid": False} | changed)


def out_of_stock() -> OrderCancelled:
    return cancelled("out_of_stock", short=(ShortLine(sku="MUG", wanted=2, available=1),))


def refund_failed(**changed: Any) -> PaymentRefundFailed:
    amount = Money(amount=2999, currency="GBP")
    return PaymentRefundFailed(
        **{
            "order_id": ORDER,
            "refund_id": UUID(int=8),
            "payment_id": "pi_1",
            "amount": amount,
            "code": "expired_or_canceled_card",
            "contact": "sealed",
            "number": "K7Q2X-9XMDA",
        }
        | changed
    )


def refunded(**changed: Any) -> PaymentRefunded:
    total = Money(amount=2999, currency="GBP")
    return PaymentRefunded(
        **{
            "order_id": ORDER,
            "payment_id": "pi_1",
            "contact": "sealed",
            "total": total,
            "number": SNAPSHOT["number"],
        }
        | changed
    )


def registered(**changed: Any) -> UserRegistered:
    return UserRegistered(**{"user_id": SHOPPER, "contact": "sealed"} | changed)
