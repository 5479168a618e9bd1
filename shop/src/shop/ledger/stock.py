"""The checks of the third promise: stock is neither lost nor sold twice."""

from collections import Counter
from collections.abc import Iterator

from shop.ledger.evidence import Evidence

_PUT_BACK = {"released", "restocked", "refused", "rejected"}


def stock_adds_up(evidence: Evidence) -> Iterator[str]:
    """On hand, reserved and sold make up what was received, and none is negative."""
    for s in evidence.stock:
        if s.on_hand + s.reserved + s.sold != s.received:
            yield f"{s.sku}: {s.on_hand} on hand, {s.reserved} reserved, {s.sold} sold of {s.received}"
        if min(s.on_hand, s.reserved, s.sold) < 0:
            yield f"{s.sku}: a negative quantity ({s.on_hand}, {s.reserved}, {s.sold})"


def sold_is_what_was_paid(evidence: Evidence) -> Iterator[str]:
    """What product has sold is what paid orders bought less what came back, what it has reserved is what
    pending ones hold."""
    sold, reserved = _wanted(evidence, "paid", {"sold"}), _wanted(evidence, "pending", {"reserved"})
    for s in evidence.stock:
        if s.sold != sold[s.sku]:
            yield f"{s.sku}: {s.sold} sold, paid orders bought {sold[s.sku]}"
        if s.reserved != reserved[s.sku]:
            yield f"{s.sku}: {s.reserved} reserved, pending orders hold {reserved[s.sku]}"


def holds_follow_their_orders(evidence: Evidence) -> Iterator[str]:
    """The hold of a paid order is sold, that of a cancelled one is given back or was never made."""
    for order in evidence.orders:
        state = evidence.holds.get(order.order_id, "nothing")
        if order.status == "paid" and state != "sold":
            yield f"order {order.order_id} is paid, its stock is {state}"
        if order.status == "cancelled" and state not in _PUT_BACK:
            yield f"order {order.order_id} is cancelled, its stock is {state}"


def no_order_waits_for_available_stock(evidence: Evidence) -> Iterator[str]:
    """An order waits for stock only if other orders hold it, not if it is on hand or sold."""
    stock = {one.sku: one for one in evidence.stock}
    for order in evidence.orders_of("pending"):
        if evidence.holds.get(order.order_id) != "waiting":
            continue
        wanted = [(stock[sku], pieces) for sku, pieces in order.lines.items()]
        if all(pieces <= one.on_hand for one, pieces in wanted):
            yield f"order {order.order_id} waits for stock, and all of it is on hand"
        if any(pieces > one.on_hand + one.reserved for one, pieces in wanted):
            yield f"order {order.order_id} waits for stock, and it is sold"


def every_return_is_restocked_once(evidence: Evidence) -> Iterator[str]:
    """The goods of a return are on hand again once it was received, and nothing else is."""
    due = {one.return_id: one for order in evidence.orders for one in order.returns if one.is_due}
    for return_id, one in due.items():
        if dict(one.lines) != (back := dict(evidence.restocked.get(return_id, {}))):
            yield f"return {return_id}: {dict(one.lines)} came back, {back} was restocked"
        elif one.lines and not one.restocked:
            yield f"return {return_id} was restocked, and order does not know it"
    for return_id in evidence.restocked.keys() - due.keys():
        yield f"return {return_id} was restocked, and nothing came back"


def _wanted(evidence: Evidence, status: str, holds: set[str]) -> Counter[str]:
    """Pieces by sku over the orders of that status whose hold is in one of those states."""
    pieces: Counter[str] = Counter()
    for order in evidence.orders_of(status):
        if status == "paid" or evidence.holds.get(order.order_id) in holds:
            pieces.update(order.lines)
            for one in order.returns:
                pieces.subtract(one.lines if one.restocked else {})
    return pieces
