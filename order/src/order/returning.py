"""Returns and refunds of a paid order: requested, received, closed, and recorded from events."""

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
    """Request a return, `within` that time after the order was fulfilled; `None` for staff, who have no
    limit. Raises NotReturnable."""
    if order.status == "cancelled":
        raise returns.NotPaid("The order is cancelled: what was paid for it is refunded automatically.")
    if order.status == "pending" or order.fulfilled_at is None:
        raise returns.NotFulfilled("The order was not fulfilled yet: cancel it instead.")
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
    """A refund by staff: of the price of the `wanted` pieces, of the `amount`, or without either of all that
    is left. Raises NotReturnable."""
    if order.status != "paid":
        raise returns.NotPaid(f"The order is {order.status}: there is nothing to refund.")
    lines = returns.taken(order.lines, order.returns, wanted)
    if amount is None and lines and not returns.worth(lines):
        raise returns.NothingToRefund("These lines were free: request a return to take them back.")
    if amount is None:
        amount = min(returns.worth(lines), order.left) if lines else order.left
    if not 0 < amount <= order.left:
        raise returns.TooMuch(f"{order.left} minor units of {order.currency} are left to refund.")
    one = Return(return_id, "staff", "granted", lines, amount, now, restock, received_at=now)
    order.returns = (*order.returns, one)
    return [_make_due(order, one)]


def receive(order: Order, return_id: UUID, now: datetime) -> list[OrderReturned]:
    """The goods have arrived: they are to be restocked and refunded. Raises Unknown, Closed."""
    before = find(order, return_id)
    # A refund may have been made at the provider meanwhile.
    others = returns.given(one for one in order.returns if one is not before)
    amount = max(0, min(before.amount, order.total - others))
    after = returns.receive(before, amount, now)
    if after is before:
        return []
    order.returns = returns.changed(order.returns, after)
    return [_make_due(order, after)]


def close(
    order: Order, return_id: UUID, state: Literal["rejected", "withdrawn"], reason: str | None = None
) -> bool:
    """Reject or withdraw a return. Returns whether that changed it. Raises Unknown, Closed."""
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
    """The goods of the return were restocked."""
    one = _due_return(order, return_id, "stock returned")
    _put(order, replace(one, restocked_at=one.restocked_at or now))


def note_refund(order: Order, refund: PaymentRefundedInPart, now: datetime) -> None:
    """A part of the money was refunded. A refund that was made at the provider becomes a return here."""
    if refund.amount.currency != order.currency:
        raise Impossible("refunded in another currency")
    if refund.by == late.AGAIN:
        order.note_late(LateRefund(refund.refund_id, refund.amount.amount, None, now))
        return
    if refund.by == "provider" and returns.find(order.returns, refund.refund_id) is None:
        made = Return(refund.refund_id, "provider", "granted", (), refund.amount.amount, now, received_at=now)
        order.returns = (*order.returns, made)
    one = _due_return(order, refund.refund_id, "refunded in part")
    if one.amount != refund.amount.amount:
        raise Impossible(f"refunded {refund.amount.amount} instead of {one.amount}")
    _put(order, replace(one, refunded_at=one.refunded_at or now))


def settle(order: Order, refund_id: UUID, now: datetime) -> list[OrderRefundSettled]:
    """Staff have paid the shopper the failed refund in another way. Raises Unknown, and Closed if it was
    refunded again."""
    failed = next((one for one in order.late_refunds if one.code and one.refund_id == refund_id), None)
    if failed is None:
        raise returns.Unknown("Failed refund not found.")
    if failed in late.settled(order.late_refunds):
        return []
    if late.owed(order.late_refunds) < failed.amount:
        raise returns.Closed("This refund was made again.")
    order.note_late(LateRefund(late.settled_as(refund_id), failed.amount, None, now))
    return [order.settled(failed)]


def note_dispute(order: Order, disputed: PaymentDisputed) -> None:
    """The shopper disputes the payment with her bank. Staff see it; what she gets from her bank is not
    refunded as well."""
    order.disputes = disputes.noted(order.disputes, disputed)
    _update_returning_since(order)


def _make_due(order: Order, one: Return) -> OrderReturned:
    order.nudges, order.nudge_at = 0, None
    _update_returning_since(order)
    return order.returned(one)


def _put(order: Order, one: Return) -> None:
    order.returns = returns.changed(order.returns, one)
    _update_returning_since(order)


def _update_returning_since(order: Order) -> None:
    since = [one.received_at for one in order.returns if one.received_at and order.awaited(one)]
    order.returning_since = min(since, default=None) if order.status == "paid" else None


def _due_return(order: Order, return_id: UUID, event: str) -> Return:
    one = returns.find(order.returns, return_id)
    if one is None or not one.is_due:
        raise Impossible(f"{event}, although return {return_id} is not due")
    return one
