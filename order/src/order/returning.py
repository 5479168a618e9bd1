"""Returns and refunds of a paid order: requested, received, closed, and recorded from events."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from contracts import (
    Line,
    OrderRefundSettled,
    OrderReturned,
    PaymentDisputed,
    PaymentRefundedInPart,
    PaymentRefundFailed,
)
from order import events, returns
from order.domain import Order
from order.errors import (
    Closed,
    Impossible,
    NotFulfilled,
    NothingToRefund,
    NotPaid,
    PeriodOver,
    TooMuch,
    Unknown,
)
from order.pricing import Wanted
from order.returns import LateRefund, Return


def request(
    order: Order, return_id: UUID, wanted: Sequence[Wanted], now: datetime, within: timedelta | None
) -> Return:
    """Request a return, `within` that time after the order was fulfilled; `None` for staff, who have no
    limit. Raises NotAllowed."""
    if order.status == "cancelled":
        raise NotPaid("The order is cancelled: what was paid for it is refunded automatically.")
    if order.status == "pending" or order.fulfilled_at is None:
        raise NotFulfilled("The order was not fulfilled yet: cancel it instead.")
    if within is not None and now >= order.fulfilled_at + within:
        raise PeriodOver(f"An order can be returned for {within.days} days.")
    lines = _taken(order, wanted)
    one = Return(return_id, "return", "requested", lines, min(_worth(lines), order.left), now)
    order.returns = (*order.returns, one)
    return one


def refund_by_staff(
    order: Order,
    return_id: UUID,
    now: datetime,
    *,
    wanted: Sequence[Wanted],
    amount: int | None,
    restock: bool,
) -> list[OrderReturned]:
    """A refund by staff: of the price of the `wanted` pieces, of the `amount`, or without either of all that
    is left. Raises NotAllowed."""
    if order.status != "paid":
        raise NotPaid(f"The order is {order.status}: there is nothing to refund.")
    lines = _taken(order, wanted)
    if amount is None and lines and not _worth(lines):
        raise NothingToRefund("These lines were free: request a return to take them back.")
    if amount is None:
        amount = min(_worth(lines), order.left) if lines else order.left
    if not 0 < amount <= order.left:
        raise TooMuch(f"{order.left} minor units of {order.currency} are left to refund.")
    one = Return(return_id, "staff", "granted", lines, amount, now, restock, received_at=now)
    order.returns = (*order.returns, one)
    return [_make_due(order, one)]


def receive(order: Order, return_id: UUID, now: datetime) -> list[OrderReturned]:
    """The goods have arrived: they are to be restocked and refunded. Raises Unknown, and Closed if it was
    rejected or withdrawn."""
    one = find(order, return_id)
    if not one.counts:
        raise Closed(f"This return was {one.state}.")
    if one.is_due:
        return []
    # A refund may have been made at the provider meanwhile.
    others = returns.given(other for other in order.returns if other is not one)
    amount = max(0, min(one.amount, order.total - others))
    received = replace(one, state="received", amount=amount, received_at=now)
    _put(order, received)
    return [_make_due(order, received)]


def close(
    order: Order, return_id: UUID, state: Literal["rejected", "withdrawn"], reason: str | None = None
) -> bool:
    """Reject or withdraw a return. Returns whether that changed it. Raises Unknown, and Closed if it is no
    longer only requested."""
    one = find(order, return_id)
    if one.state == state:
        return False
    if one.state != "requested":
        raise Closed(f"This return was {one.state}.")
    _put(order, replace(one, state=state, reason=reason))
    return True


def find(order: Order, return_id: UUID) -> Return:
    """Raises Unknown."""
    one = _find(order, return_id)
    if one is None:
        raise Unknown("Return not found.")
    return one


def note_restock(order: Order, return_id: UUID, now: datetime) -> None:
    """The goods of the return were restocked."""
    one = _due_return(order, return_id, "stock returned")
    _put(order, replace(one, restocked_at=one.restocked_at or now))
    _update_returning_since(order)


def note_refund(order: Order, refund: PaymentRefundedInPart, now: datetime) -> None:
    """A part of the money was refunded. A refund that was made at the provider becomes a return here."""
    if refund.amount.currency != order.currency:
        raise Impossible("refunded in another currency")
    amount = refund.amount.amount
    if refund.by == returns.MADE_AGAIN:
        _note_late_refund(order, LateRefund(refund.refund_id, amount, None, now))
        return
    if refund.by == "provider" and _find(order, refund.refund_id) is None:
        made = Return(refund.refund_id, "provider", "granted", (), amount, now, received_at=now)
        order.returns = (*order.returns, made)
    one = _due_return(order, refund.refund_id, "refunded in part")
    if one.amount != amount:
        raise Impossible(f"refunded {amount} instead of {one.amount}")
    _put(order, replace(one, refunded_at=one.refunded_at or now))
    _update_returning_since(order)


def note_failed_refund(order: Order, failed: PaymentRefundFailed, now: datetime) -> None:
    """A refund failed after it was made: the shopper does not have that money."""
    if failed.amount.currency != order.currency:
        raise Impossible("a refund failed in another currency")
    _note_late_refund(order, LateRefund(failed.refund_id, failed.amount.amount, failed.code, now))


def settle(order: Order, refund_id: UUID, now: datetime) -> list[OrderRefundSettled]:
    """Staff have paid the shopper the failed refund in another way. Raises Unknown, and Closed if it was
    refunded again."""
    failed = next((one for one in order.late_refunds if one.code and one.refund_id == refund_id), None)
    if failed is None:
        raise Unknown("Failed refund not found.")
    if failed in returns.settled(order.late_refunds):
        return []
    if returns.not_made_again(order.late_refunds) < failed.amount:
        raise Closed("This refund was made again.")
    _note_late_refund(order, LateRefund(returns.settled_as(refund_id), failed.amount, None, now))
    return [events.refund_settled(order, failed)]


def note_dispute(order: Order, disputed: PaymentDisputed) -> None:
    """The shopper disputes the payment with her bank. Staff see it; what she gets from her bank is not
    refunded as well."""
    order.disputes = returns.with_dispute(order.disputes, disputed)
    _update_returning_since(order)


def _taken(order: Order, wanted: Sequence[Wanted]) -> tuple[Line, ...]:
    """The `wanted` pieces as lines at the prices that were paid. Raises TooMuch if more is wanted of a line
    than was bought, less what was returned or requested."""
    left = Counter({line.sku: line.quantity for line in order.lines})
    for one in order.returns:
        if one.counts:
            left.subtract({line.sku: line.quantity for line in one.lines})
    pieces_by_sku = Counter[str]()
    for pieces_of in wanted:
        pieces_by_sku[pieces_of.sku] += pieces_of.quantity
    errors = [
        {"sku": sku, "detail": f"At most {left[sku]} can be returned." if left[sku] > 0 else _NONE_LEFT}
        for sku, pieces in pieces_by_sku.items()
        if pieces > left[sku]
    ]
    if errors:
        raise TooMuch("More than is left of the lines.", errors)
    lines = {line.sku: line for line in order.lines}
    return tuple(lines[sku].model_copy(update={"quantity": pieces}) for sku, pieces in pieces_by_sku.items())


_NONE_LEFT = "None can be returned."


def _worth(lines: Iterable[Line]) -> int:
    return sum(line.quantity * line.unit_price for line in lines)


def _note_late_refund(order: Order, late: LateRefund) -> None:
    """Once, however often it is consumed."""
    if not any((one.refund_id, one.sign) == (late.refund_id, late.sign) for one in order.late_refunds):
        order.late_refunds = (*order.late_refunds, late)


def _make_due(order: Order, one: Return) -> OrderReturned:
    order.nudges, order.nudge_at = 0, None
    _update_returning_since(order)
    return events.returned(order, one)


def _put(order: Order, changed: Return) -> None:
    order.returns = tuple(changed if one.return_id == changed.return_id else one for one in order.returns)


def _update_returning_since(order: Order) -> None:
    since = [one.received_at for one in order.returns if one.received_at and events.awaited(order, one)]
    order.returning_since = min(since, default=None) if order.status == "paid" else None


def _find(order: Order, return_id: UUID) -> Return | None:
    return next((one for one in order.returns if one.return_id == return_id), None)


def _due_return(order: Order, return_id: UUID, event: str) -> Return:
    one = _find(order, return_id)
    if one is None or not one.is_due:
        raise Impossible(f"{event}, although return {return_id} is not due")
    return one
