"""What is stuck, what it means and what to do next: a list of pure functions of a snapshot."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from textwrap import shorten
from uuid import UUID

from notification.operations import is_put_off
from order.operations import Order
from payment.operations import GAVE_BACK
from product.operations import LONGEST_WAIT
from shop.sagas import provider, returns
from shop.sagas.snapshot import Issue, Snapshot
from shop.sagas.waiting import HAS_MONEY, STOCK_OF_OTHERS, waits_for


def stuck(snapshot: Snapshot, threshold: timedelta) -> list[Issue]:
    """Everything stuck for longer than `threshold`, the oldest first."""
    before = snapshot.now - threshold
    found = [_numbered(issue, snapshot) for check in _CHECKS for issue in check(snapshot, before)]
    return sorted(found, key=lambda issue: (issue.since or snapshot.now, issue.kind))


def _numbered(issue: Issue, snapshot: Snapshot) -> Issue:
    order = issue.order_id and snapshot.orders.get(issue.order_id)
    return replace(issue, number=order.number) if order else issue


def of_order(issues: list[Issue], order_id: UUID) -> list[Issue]:
    return [issue for issue in issues if issue.order_id == order_id]


def _past_deadline(snapshot: Snapshot, before: datetime) -> Iterator[Issue]:
    for order in snapshot.orders.values():
        if order.status == "pending" and order.deadline < before:
            means = "pending past its deadline: order's job that expires orders has not run"
            yield Issue("past-deadline", order.order_id, order.deadline, means, _look_at("order"))


def _pending(snapshot: Snapshot, before: datetime) -> Iterator[Issue]:
    calling = {call.order_id for call in snapshot.calls if call.service == "payment" and call.since < before}
    for order in snapshot.orders.values():
        if order.status != "pending" or order.created_at >= before or order.deadline < before:
            continue
        if order.action_expires_at is not None and order.action_expires_at >= before:
            continue  # its shopper still has time to confirm with her bank
        if waits_for(snapshot, order) == [STOCK_OF_OTHERS]:
            since = snapshot.holds[order.order_id].waiting_since
            if since is None or since + LONGEST_WAIT >= snapshot.now:
                continue  # product will end the wait by itself
        payment = snapshot.payments.get(order.order_id)
        if order.order_id in calling:
            continue  # reported as `outcome-unknown`
        if payment is not None and payment.state == "captured":
            kind, means = "paid-not-consumed", "the money is taken, and order has not consumed order.paid"
        else:
            kind, means = "slow", "waits for " + "; ".join(waits_for(snapshot, order))
        yield Issue.to_nudge(kind, order.order_id, order.created_at, means)


def _refund_failed(snapshot: Snapshot, _: datetime) -> Iterator[Issue]:
    for payment in snapshot.payments.values():
        if payment.state != "refund_failed" or payment.refund_at is None:
            continue  # made, and failed later: reported as `refund-came-back`
        means = f"the provider refuses the refund ({payment.refunds_refused}×): {payment.code}"
        if payment.refund_at > snapshot.now:
            means += f"; it repeats its answer until {payment.refund_at:%d %b %H:%M} UTC"
        order = snapshot.orders.get(payment.order_id)
        since = order.cancelled_at if order else None
        means += "; settle it with the provider, then nudge the saga"
        yield Issue.to_nudge("refund-failed", payment.order_id, since, means)


def _money_of_cancelled(snapshot: Snapshot, before: datetime) -> Iterator[Issue]:
    for order, ended in _ended(snapshot, before, "cancelled"):
        payment = snapshot.payments.get(order.order_id)
        if payment is None or payment.state not in HAS_MONEY:
            continue
        means = f"cancelled, and its money is {HAS_MONEY[payment.state]}"
        if payment.cancelled:
            means += ": the provider has not answered"
            yield Issue("money-not-back", order.order_id, ended, means, _look_at("payment"))
        else:
            means += ": payment has not consumed order.cancelled"
            yield Issue.to_nudge("money-not-back", order.order_id, ended, means)


def _stock_of_ended(snapshot: Snapshot, before: datetime) -> Iterator[Issue]:
    for order, ended in _ended(snapshot, before):
        hold = snapshot.holds.get(order.order_id)
        kept = ("reserved", "sold") if order.status == "cancelled" else ("reserved",)
        if hold is not None and hold.state in kept:
            means = f"{order.status}, and its stock is still {hold.state}: product has not consumed the event"
            yield Issue.to_nudge("stock-held", order.order_id, ended, means)


def _stock_not_sold(snapshot: Snapshot, before: datetime) -> Iterator[Issue]:
    for order, ended in _ended(snapshot, before, "paid"):
        hold = snapshot.holds.get(order.order_id)
        if hold is not None and hold.state not in ("sold", "reserved"):
            means = f"paid, and its stock is {hold.state}: inspect it, it may have to be cancelled"
            yield Issue("stock-not-sold", order.order_id, ended, means, f"shop saga show {order.order_id}")


def _end_not_in_timeline(snapshot: Snapshot, before: datetime) -> Iterator[Issue]:
    for order, ended in _ended(snapshot, before):
        event = f"order.{order.status}"
        if event not in snapshot.timelines.get(order.order_id, ()):
            means = f"{order.status}, and the timeline has not consumed {event}"
            yield Issue.to_nudge("not-in-timeline", order.order_id, ended, means)


def _compensation_not_consumed(snapshot: Snapshot, before: datetime) -> Iterator[Issue]:
    for order, ended in _ended(snapshot, before, "cancelled"):
        hold, payment = snapshot.holds.get(order.order_id), snapshot.payments.get(order.order_id)
        done = {
            "stock.released": hold is not None and hold.state in ("released", "restocked"),
            "payment.voided": payment is not None and payment.state == "voided",
            "payment.refunded": payment is not None and payment.state == "refunded",
        }
        missing = [type_ for type_ in snapshot.missing_compensations(order) if done[type_]]
        if missing:
            means = f"compensated, and order has not consumed {' and '.join(missing)}"
            yield Issue.to_nudge("not-consumed", order.order_id, ended, means)


def _unsent_mails(snapshot: Snapshot, before: datetime) -> Iterator[Issue]:
    for call in snapshot.calls:
        if call.since < before and call.service == "notification" and not is_put_off(call.error):
            means = f"the {call.kind} has not been sent{provider.tried(call)}"
            yield Issue("mail-not-sent", call.order_id, call.since, means, _look_at("notification"))


def _undeliverable_mails(snapshot: Snapshot, _: datetime) -> Iterator[Issue]:
    for mail in snapshot.undeliverable:
        means = f"the {mail.reason} {_NOT_DELIVERED[mail.fate]}: {mail.why or 'reason unknown'}"
        order_id = None if mail.reason == "welcome" else mail.order_id or mail.subject_id
        following = f"shop mails resend {mail.id} --why TEXT"
        yield Issue(f"mail-{mail.fate.replace('_', '-')}", order_id, mail.at, means, following)


def _unwritten_mails(snapshot: Snapshot, before: datetime) -> Iterator[Issue]:
    for order, ended in _ended(snapshot, before):
        owed = "cancellation" if order.status == "cancelled" else "receipt"
        written = snapshot.correspondence.get(order.order_id)
        fate = written.mails.get(owed) if written is not None else None
        if fate is None:
            means = f"{order.status}, and notification has not consumed the event: no {owed} is written"
            yield Issue.to_nudge("letter-not-written", order.order_id, ended, means)
        payment = snapshot.payments.get(order.order_id)
        if fate == "withheld" and payment is not None and payment.state in GAVE_BACK:
            means = f"cancelled, and notification does not know that money was held: the {owed} is withheld"
            yield Issue.to_nudge("mail-withheld", order.order_id, ended, means)


def _dead_letters(snapshot: Snapshot, _: datetime) -> Iterator[Issue]:
    for one in snapshot.dead_letters:
        order_id = UUID(one.order_id) if one.order_id else None
        what = f"{one.queue} dead-lettered {one.event_type or 'a message'}"
        undoes = f", which compensates {one.step.compensates}" if one.step and one.step.compensates else ""
        means, following = f"{what}{undoes}: {one.reason}", f"shop dead-letters show {one.id}"
        yield Issue("dead-letter", order_id, one.first_failed_at, means, following)


def _unpublished(snapshot: Snapshot, before: datetime) -> Iterator[Issue]:
    for row in snapshot.unpublished:
        if row.since < before:
            leased = row.leased_until > snapshot.now
            order_id = None if row.type == "saga.nudged" else row.order_id or row.subject
            if row.attempts:
                again = f"next try at {row.leased_until:%H:%M:%S} UTC" if leased else "next try now"
                means = f"the broker refused {row.service}'s {row.type} {row.attempts}×, {again}: "
                means += shorten(row.error or "", provider.ERROR_LENGTH, placeholder=" …")
                following = f"shop broker check; shop logs {row.service}"
                yield Issue("publish-refused", order_id, row.since, means, following)
                continue
            why = f"leased until {row.leased_until:%H:%M:%S} UTC" if leased else "and no relay publishes it"
            means = f"{row.service} has not published {row.type}, {why}"
            yield Issue("not-published", order_id, row.since, means, _look_at(row.service))


def _queues_without_consumer(snapshot: Snapshot, _: datetime) -> Iterator[Issue]:
    for queue in snapshot.queues:
        if queue.messages and not queue.consumers:
            means = f"{queue.messages} messages in {queue.name}, and no consumer"
            yield Issue("nobody-listens", None, None, means, "shop up")


def _broker(snapshot: Snapshot, _: datetime) -> Iterator[Issue]:
    for issue in snapshot.broker_issues:
        yield Issue(issue.kind, None, None, issue.means, issue.next)


_CHECKS: tuple[Callable[[Snapshot, datetime], Iterator[Issue]], ...] = (
    _past_deadline,
    _pending,
    _refund_failed,
    provider.refunds_came_back,
    provider.disputed,
    provider.stray_payments,
    returns.refund_failed,
    returns.stuck,
    _money_of_cancelled,
    _stock_of_ended,
    _stock_not_sold,
    _end_not_in_timeline,
    _compensation_not_consumed,
    provider.unknown_outcomes,
    provider.requests_refused,
    _unsent_mails,
    _undeliverable_mails,
    _unwritten_mails,
    returns.unwritten_mails,
    _dead_letters,
    _unpublished,
    _queues_without_consumer,
    _broker,
)

_NOT_DELIVERED = {
    "rejected": "was rejected for good",
    "given_up": "was given up",
    "in_doubt": "may have been sent or not",
}


def _ended(
    snapshot: Snapshot, before: datetime, status: str | None = None
) -> Iterator[tuple[Order, datetime]]:
    """Orders that ended before that moment, each with when it did."""
    for order in snapshot.orders.values():
        ended = order.cancelled_at or order.paid_at
        if ended is not None and ended < before and status in (None, order.status):
            yield order, ended


def _look_at(service: str) -> str:
    return f"shop status; shop logs {service}"
