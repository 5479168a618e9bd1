"""What an order's saga waits for, in words, and what a nudge would do: pure functions of a snapshot."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from contracts import Event
from order.operations import Order, to_republish
from payment.operations import Payment, events_to_republish
from shop.errors import ShopError
from shop.sagas import returns
from shop.sagas.snapshot import Snapshot
from shop.targets import Target

STOCK_OF_OTHERS = "stock that other orders hold"
_CAPTURE_AWAITED = "payment to consume stock.reserved and take the money"

HAS_MONEY = {
    "authorizing": "being held",
    "action_required": "to be confirmed by the shopper",
    "authorized": "held",
    "capturing": "being taken",
    "captured": "taken",
    "voiding": "being voided",
    "refunding": "being refunded",
}


def waits_for(snapshot: Snapshot, order: Order) -> list[str]:
    """What the order's saga still waits for, however recently it began."""
    if order.status == "pending":
        stock = _stock_awaited(snapshot, order)
        money = _money_awaited(order, snapshot.payments.get(order.order_id))
        return stock if stock == [STOCK_OF_OTHERS] and money == [_CAPTURE_AWAITED] else [*stock, *money]
    if order.status == "paid":
        awaited = [*returns.awaited(snapshot, order)]
    else:
        awaited = [f"order to consume {type_}" for type_ in snapshot.missing_compensations(order)]
    hold = snapshot.holds.get(order.order_id)
    if order.status == "paid" and (hold is None or hold.state != "sold"):
        awaited.append("product to consume order.paid and sell the stock")
    if f"order.{order.status}" not in snapshot.timelines.get(order.order_id, ()):
        awaited.append(f"the timeline to consume order.{order.status}")
    return awaited


def _stock_awaited(snapshot: Snapshot, order: Order) -> list[str]:
    hold = snapshot.holds.get(order.order_id)
    if hold is None:
        return ["product to consume order.created and reserve the stock"]
    if hold.state == "waiting":
        return [STOCK_OF_OTHERS]
    return ["order to consume stock.rejected"] if hold.state == "rejected" else []


def _money_awaited(order: Order, payment: Payment | None) -> list[str]:
    if payment is None or payment.state == "expected":
        return ["payment to consume order.created and hold the money"]
    match payment.state:
        case "authorizing" | "capturing":
            return [f"the provider: the money is {HAS_MONEY[payment.state]}"]
        case "action_required":
            assert payment.action_expires_at is not None, "the database sees to that"
            if order.action_url is None:
                return ["order to consume payment.action_required and show the shopper the bank's page"]
            return [f"the shopper to confirm with the bank until {payment.action_expires_at:%H:%M:%S} UTC"]
        case "authorized":
            return [_CAPTURE_AWAITED]
        case "captured":
            return ["order to consume order.paid"]
        case "declined":
            return ["order to consume payment.declined"]
    return []


def preview(snapshot: Snapshot, order_id: UUID) -> dict[str, list[str]]:
    """For each service, the types of the events that it will republish."""
    hold, payment = snapshot.holds.get(order_id), snapshot.payments.get(order_id)
    refunds = [one for one in snapshot.refunds.values() if one.order_id == order_id]
    republished: dict[str, Sequence[Event]] = {
        "order": to_republish(snapshot.orders[order_id], snapshot.now),
        "product": hold.events_to_republish(snapshot.now) if hold else [],
        "payment": events_to_republish(payment, refunds) if payment else [],
    }
    return {service: [event.type for event in events] for service, events in republished.items()}


def refuse_forgotten(target: Target, snapshot: Snapshot, order_id: UUID) -> None:
    """Raises ShopError if a service may have deleted what it knows of the order."""
    keep = timedelta(days=target.nudge_days)
    if snapshot.now - snapshot.orders[order_id].created_at > keep:
        raise ShopError(
            f"order {order_id} is older than {keep.days} days: the services may have deleted what they knew"
            " of it, and would handle republished events as new; settle it by hand"
        )
