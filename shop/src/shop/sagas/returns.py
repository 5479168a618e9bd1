"""Returns of paid orders that are not complete: who has not handled them, what the provider refuses."""

from collections.abc import Iterator
from datetime import datetime

from contracts import format_amount_with_code
from order.operations import Order, Return
from order.operations import awaited as awaited_events
from payment.operations import AMOUNT_MISMATCH, MORE_THAN_IS_LEFT, Refund
from shop.sagas.snapshot import Issue, Snapshot


def awaited(snapshot: Snapshot, order: Order) -> Iterator[str]:
    """What the returns of a paid order still wait for."""
    for one in order.returns:
        yield from _of(snapshot, order, one)


def to_receive(order: Order) -> list[str]:
    """What only staff can do: no event will."""
    return [
        f"the goods of return {one.return_id}, requested {one.requested_at:%d %b %H:%M} UTC, to be received"
        for one in order.returns
        if order.status == "paid" and one.state == "requested"
    ]


def stuck(snapshot: Snapshot, before: datetime) -> Iterator[Issue]:
    """Returns that are not complete, though no refund is refused."""
    refused = {refund_id for refund_id, refund in snapshot.refunds.items() if refund.state == "refund_failed"}
    for order in snapshot.orders.values():
        since = order.returning_since
        if since is not None and since < before:
            waits = [
                what
                for one in order.returns
                if one.return_id not in refused
                for what in _of(snapshot, order, one)
            ]
            means = "its return waits for " + "; ".join(waits)
            if waits:
                yield Issue.to_nudge("return-stuck", order.order_id, since, means)


def refund_failed(snapshot: Snapshot, _: datetime) -> Iterator[Issue]:
    """Partial refunds that the provider refuses."""
    for refund in snapshot.refunds.values():
        if refund.state == "refund_failed":
            order = snapshot.orders.get(refund.order_id)
            since = order.returning_since if order else None
            means = _refused(refund, order, snapshot.now)
            yield Issue.to_nudge("refund-failed", refund.order_id, since, means)


def unwritten_mails(snapshot: Snapshot, before: datetime) -> Iterator[Issue]:
    """Refunds without a mail."""
    for order in snapshot.orders.values():
        for one in order.returns:
            written = snapshot.correspondence.get(one.return_id)
            if one.refunded_at is None or one.refunded_at >= before or not one.amount:
                continue
            if written is None or "refund" not in written.mails:
                means = "refunded in part, and notification has not consumed it: no refund mail is written"
                yield Issue.to_nudge("letter-not-written", order.order_id, one.refunded_at, means)


def _of(snapshot: Snapshot, order: Order, one: Return) -> Iterator[str]:
    hold, refund = snapshot.holds.get(order.order_id), snapshot.refunds.get(one.return_id)
    for type_ in awaited_events(order, one):
        if type_ == "stock.returned":
            is_back = hold is not None and str(one.return_id) in hold.returned
            yield _who(is_back, type_, "product", "restock", one)
        elif refund is None or refund.state == "refunded":
            yield _who(refund is not None, type_, "payment", "refund", one)
        elif refund.state == "refunding":
            yield f"the provider to refund return {one.return_id}"
        elif refund.state == "refund_failed":
            yield f"the provider, which refuses to refund return {one.return_id}: {refund.code}"
        else:
            yield f"order to consume that all money was refunded, return {one.return_id} included"


def _who(done: bool, type_: str, service: str, what: str, one: Return) -> str:
    if done:
        return f"order to consume {type_} of return {one.return_id}"
    return f"{service} to consume order.returned and {what} return {one.return_id}"


def _refused(refund: Refund, order: Order | None, now: datetime) -> str:
    """What is wrong, and what to do about it before the nudge."""
    money = format_amount_with_code(refund.amount, order.currency) if order else f"{refund.amount}"
    what = f"{money} (return {refund.refund_id})"
    if refund.code == AMOUNT_MISMATCH:
        return f"the provider refunded another amount than {what}; compare both in the provider's dashboard"
    if refund.code == MORE_THAN_IS_LEFT:
        means = f"other refunds have left less than {what}"
    else:
        means = f"the provider refuses to refund {what}, {refund.refused}×: {refund.code}"
        if refund.refund_at is not None and refund.refund_at > now:
            means += f"; it repeats its answer until {refund.refund_at:%d %b %H:%M} UTC"
    return f"{means}; refund it there with the metadata refund_id={refund.refund_id}, then nudge the saga"
