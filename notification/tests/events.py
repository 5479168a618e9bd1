"""The events of one order of two products, placed on 27 November 2026, of which nothing is shipped."""

from datetime import UTC, datetime
from typing import Any

from contracts import Line, OrderCancelled, OrderPaid, PaymentRefunded, PaymentRefundFailed
from contracts.testing import (
    gbp,
    order_cancelled,
    order_paid,
    payment_refund_failed,
    payment_refunded,
    stock_rejected,
)

_ORDER: dict[str, Any] = {
    "lines": (
        Line(sku="MUG", name="Mug <b>large</b>", quantity=2, unit_price=1250),
        Line(sku="TEA", name="Earl Grey", quantity=1, unit_price=499),
    ),
    "placed_at": datetime(2026, 11, 27, 9, 58, tzinfo=UTC),
    "shipping": None,
}
_TOTAL = gbp(2999)


def paid(**changes: Any) -> OrderPaid:
    return order_paid(**_ORDER | changes)


def cancelled(reason: str = "shopper", **changes: Any) -> OrderCancelled:
    return order_cancelled(**_ORDER | {"reason": reason} | changes)


def out_of_stock() -> OrderCancelled:
    return cancelled("out_of_stock", short=stock_rejected().short)


def refund_failed(**changes: Any) -> PaymentRefundFailed:
    return payment_refund_failed(**{"amount": _TOTAL} | changes)


def refunded(**changes: Any) -> PaymentRefunded:
    return payment_refunded(**{"total": _TOTAL} | changes)
