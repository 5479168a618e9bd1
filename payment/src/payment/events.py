"""The events that payment publishes about the whole of an order's money."""

from datetime import datetime
from uuid import UUID

from contracts import (
    Money,
    OrderCreated,
    OrderPaid,
    PaymentActionRequired,
    PaymentAuthorized,
    PaymentDeclined,
    PaymentRefunded,
    PaymentVoided,
)
from payment.outcomes import decline_reason, shown_code


def action_required(order_id: UUID, payment_id: str, url: str, expires_at: datetime) -> PaymentActionRequired:
    return PaymentActionRequired(order_id=order_id, payment_id=payment_id, url=url, expires_at=expires_at)


def authorized(order: OrderCreated, payment_id: str) -> PaymentAuthorized:
    return PaymentAuthorized(order_id=order.order_id, payment_id=payment_id, total=order.total)


def declined(order_id: UUID, code: str) -> PaymentDeclined:
    return PaymentDeclined(order_id=order_id, code=shown_code(code), decline_reason=decline_reason(code))


def paid(order: OrderCreated, payment_id: str) -> OrderPaid:
    return OrderPaid(
        order_id=order.order_id,
        shopper_id=order.shopper_id,
        contact=order.contact,
        lines=order.lines,
        total=order.total,
        number=order.number,
        placed_at=order.placed_at,
        guest=order.guest,
        shipping=order.shipping,
        payment_id=payment_id,
    )


def voided(order: OrderCreated, payment_id: str) -> PaymentVoided:
    return PaymentVoided(order_id=order.order_id, payment_id=payment_id)


def refunded(order: OrderCreated, payment_id: str, before: int) -> PaymentRefunded:
    """`before` was refunded in parts."""
    currency = order.total.currency
    return PaymentRefunded(
        order_id=order.order_id,
        payment_id=payment_id,
        contact=order.contact,
        total=Money(amount=max(0, order.total.amount - before), currency=currency),
        number=order.number,
        before=Money(amount=before, currency=currency) if before else None,
    )
