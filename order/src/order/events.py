"""The events about an order, made from its state: when it changes, and again for services that have lost
them."""

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, Any

from contracts import (
    CancelReason,
    Event,
    Money,
    OrderAnonymised,
    OrderCancelled,
    OrderCreated,
    OrderFulfilled,
    OrderRefundSettled,
    OrderReturned,
)
from order import returns
from order.returns import LateRefund, Return

if TYPE_CHECKING:
    from order.domain import Order


def created(order: "Order") -> OrderCreated:
    return OrderCreated(
        **_snapshot(order),
        payment_method=order.payment_method,
        deadline=order.deadline,
        return_url=order.return_url,
    )


def cancelled(order: "Order", reason: CancelReason) -> OrderCancelled:
    return OrderCancelled(
        **_snapshot(order),
        reason=reason,
        was_paid=order.paid_at is not None,
        short=order.short,
        decline_reason=order.decline_reason,
        cancelled_by=order.cancelled_by,
    )


def _snapshot(order: "Order") -> dict[str, Any]:
    """The fields of `OrderSnapshot`: what each consumer may need of the order."""
    return {
        "order_id": order.order_id,
        "shopper_id": order.shopper_id,
        "contact": order.contact,
        "lines": order.lines,
        "total": Money(amount=order.total, currency=order.currency),
        "number": order.number,
        "placed_at": order.created_at,
        "guest": order.guest,
        "shipping": order.sealed_shipping,
    }


def anonymised(order: "Order") -> OrderAnonymised:
    return OrderAnonymised(order_id=order.order_id)


def fulfilled(order: "Order") -> OrderFulfilled:
    return OrderFulfilled(order_id=order.order_id, number=order.number)


def returned(order: "Order", one: Return) -> OrderReturned:
    return OrderReturned(
        order_id=order.order_id,
        return_id=one.return_id,
        shopper_id=order.shopper_id,
        contact=order.contact,
        number=order.number,
        lines=one.restocks,
        amount=Money(amount=one.amount, currency=order.currency),
        by=one.by,
    )


def refund_settled(order: "Order", failed: LateRefund) -> OrderRefundSettled:
    amount = Money(amount=failed.amount, currency=order.currency)
    return OrderRefundSettled(order_id=order.order_id, refund_id=failed.refund_id, amount=amount)


def to_republish(order: "Order", now: datetime) -> list[Event]:
    """The events about this order that are still true, for services that have lost them."""
    if order.status == "pending" and now < order.deadline:
        return [created(order)]
    always = [
        *(refund_settled(order, one) for one in returns.settled(order.late_refunds)),
        *([anonymised(order)] if order.contact is None else []),
    ]
    if order.status == "paid":
        due = (returned(order, one) for one in order.returns if one.is_due and one.by != "provider")
        return [*([fulfilled(order)] if order.fulfilled_at else []), *due, *always]
    return [cancelled(order, order.reason), *always] if order.reason else []


def missing_compensations(order: "Order", event_types: Collection[str]) -> list[str]:
    """The events that are still missing: of a cancelled order the compensations of what was done for it,
    according to the `event_types` in its timeline; of a paid one, what its returns wait for."""
    if order.status == "paid":
        return sorted({type_ for one in order.returns for type_ in awaited(order, one)})
    if order.status != "cancelled":
        return []
    missing = []
    if "stock.reserved" in event_types and not order.stock_released_at:
        missing.append("stock.released")
    if (order.paid_at or "order.paid" in event_types) and not order.refunded_at:
        missing.append("payment.refunded")
    elif "payment.authorized" in event_types and not (order.voided_at or order.refunded_at):
        missing.append("payment.voided")
    return missing


def awaited(order: "Order", one: Return) -> list[str]:
    """The events that this return waits for. A refund is not among them once the whole total was refunded,
    for whatever reason, or lost in disputes."""
    everything = order.refunded + returns.lost(order.disputes) >= order.total
    return [type_ for type_ in one.awaits() if type_ == "stock.returned" or not everything]
