"""How goods and money of a paid order go back: what is asked for, what is received, what is heard of it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from contracts import OrderRefundSettled, OrderReturned, PaymentDisputed, PaymentRefundedInPart
from order import disputes, late, returns
from order.domain import Impossible, Order
from order.late import LateRefund
from order.returns import Pieces, Return


def request(
    order: Order, return_id: UUID, wanted: Sequence[Pieces], now: datetime, within: timedelta | None
) -> Return:
    """Goods are to come back; `within` so long after it was fulfilled, unless staff ask. Raises
    NotReturnable."""
    if order.status == "cancelled":
        raise returns.NotPaid("The order is cancelled: what was paid for it goes back by itself.")
    if order.status == "pending" or order.fulfilled_at is None:
        raise returns.NotFulfilled("The order has not left for its shopper: cancel it instead.")
    if within is not None and now >= order.fulfilled_at + within:
        raise returns.PeriodOver(f"An order can be returned for {within.days} days.")
    lines = returns.taken(order.lines, order.returns, wanted)
    amount = min(returns.worth(lines), order.left)
    one = Return(return_id, "return", "requested", lines, amount, now)
    order.returns = (*order.returns, one)
    return one


def give_back(
    order: Order,
    return_id: UUID,
    now: datetime,
    *,
    wanted: Sequence[Pieces],
    amount: int | None,
    restock: bool,
) -> list[OrderReturned]:
    """Staff give money back: for these pieces, or so much, or without either all that is left. Raises
    NotReturnable."""
    if order.status != "paid":
        raise returns.NotPaid(f"The order is {order.status}: there is nothing to refund.")
    lines = returns.taken(order.lines, order.returns, wanted)
    if amount is None:
        amount = min(returns.worth(lines), order.left) if lines else order.left
    if not 0 < amount <= order.left:
        raise returns.TooMuch(f"{order.left} minor units of {order.currency} are left to refund.")
    one = Return(return_id, "staff", "granted", lines, amount, now, restock, received_at=now)
    order.returns = (*order.returns, one)
    return [_due(order, one)]


def receive(order: Order, return_id: UUID, now: datetime) -> list[OrderReturned]:
    """The goods are here: they are restocked, and their price refunded. Raises Unknown, Closed."""
    before = find(order, return_id)
    # Somebody may have given money back at the provider meanwhile.
    others = returns.given(one for one in order.returns if one is not before)
    amount = max(0, min(before.amount, order.total - others))
    after = returns.receive(before, amount, now)
    if after is before:
        return []
    order.returns = returns.changed(order.returns, after)
    return [_due(order, after)]


def close(
    order: Order, return_id: UUID, state: Literal["rejected", "withdrawn"], reason: str | None = None
) -> bool:
    """Nothing comes of it. Tells whether that is new. Raises Unknown, Closed."""
    before = find(order, return_id)
    after = returns.close(before, state, reason)
    order.returns = returns.changed(order.returns, after)
    return after is not before


def find(order: Order, return_id: UUID) -> Return:
    """Raises Unknown."""
    one = returns.find(order.returns, return_id)
    if one is None:
        raise returns.Unknown("Return not found.")
    return one


def note_restock(order: Order, return_id: UUID, now: datetime) -> None:
    """The goods of that return are on hand again."""
    one = _known(order, return_id, "stock returned")
    _note(order, replace(one, restocked_at=one.restocked_at or now))


def note_refund(order: Order, refund: PaymentRefundedInPart, now: datetime) -> None:
    """A part of its money went back. Of what was refunded at the provider this is the first news."""
    if refund.amount.currency != order.currency:
        raise Impossible("refunded in another currency")
    if refund.by == late.AGAIN:
        order.note_late(LateRefund(refund.refund_id, refund.amount.amount, None, now))
        return
    if refund.by == "provider" and returns.find(order.returns, refund.refund_id) is None:
        made = Return(refund.refund_id, "provider", "granted", (), refund.amount.amount, now, received_at=now)
        order.returns = (*order.returns, made)
    one = _known(order, refund.refund_id, "refunded in part")
    if one.amount != refund.amount.amount:
        raise Impossible(f"refunded {refund.amount.amount}, and not {one.amount}")
    _note(order, replace(one, refunded_at=one.refunded_at or now))


def settle(order: Order, refund_id: UUID, now: datetime) -> list[OrderRefundSettled]:
    """Staff have given the shopper otherwise what came back by that refund. Raises Unknown, and Closed when
    it has gone to her again."""
    came_back = next((one for one in order.late_refunds if one.code and one.refund_id == refund_id), None)
    if came_back is None:
        raise returns.Unknown("No such refund came back.")
    if came_back in late.settled(order.late_refunds):
        return []
    if late.owed(order.late_refunds) < came_back.amount:
        raise returns.Closed("This refund was made again.")
    order.note_late(LateRefund(late.settled_as(refund_id), came_back.amount, None, now))
    return [order.settled(came_back)]


def note_dispute(order: Order, disputed: PaymentDisputed) -> None:
    """The shopper's bank asks for the money: that changes nothing here, but staff are to see it. What she has
    from there in the end is not refunded."""
    order.disputes = disputes.noted(order.disputes, disputed)
    _look_after(order)


def _due(order: Order, one: Return) -> OrderReturned:
    order.nudges, order.nudge_at = 0, None
    _look_after(order)
    return order.returned(one)


def _note(order: Order, one: Return) -> None:
    order.returns = returns.changed(order.returns, one)
    _look_after(order)


def _look_after(order: Order) -> None:
    waiting = [one.received_at for one in order.returns if one.received_at and order.awaited(one)]
    order.returning_since = min(waiting, default=None) if order.status == "paid" else None


def _known(order: Order, return_id: UUID, news: str) -> Return:
    one = returns.find(order.returns, return_id)
    if one is None or not one.is_due:
        raise Impossible(f"{news}, although nothing was to go back by {return_id}")
    return one
