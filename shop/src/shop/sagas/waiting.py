"""What an order's saga waits for, in words: pure functions of a snapshot."""

from order.operations import Order
from payment.operations import Payment
from shop.sagas import returns
from shop.sagas.snapshot import Snapshot

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
