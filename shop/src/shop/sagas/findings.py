"""What stands, each named with what it means and what to do next: pure functions of what was seen."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from textwrap import shorten
from uuid import UUID

from chassis.saga.intents import OutcomePending
from notification.recipients import PutOff
from order.domain import Order
from payment.domain import Payment
from payment.stripe_requests import LIST
from product.domain import LONGEST_WAIT
from shop.sagas import provider, returns
from shop.sagas.finding import Finding, nudge_command
from shop.sagas.seen import GAVE_BACK, CallSeen, Seen

ERROR_LENGTH = 120
STOCK_OF_OTHERS = "stock that other orders hold"
_CAPTURE_AWAITED = "payment to hear stock.reserved and take the money"


def stuck(seen: Seen, patience: timedelta) -> list[Finding]:
    """Everything that has stood for longer than `patience`, the oldest first."""
    before = seen.now - patience
    found = [_numbered(finding, seen) for look in _LOOKS for finding in look(seen, before)]
    return sorted(found, key=lambda finding: (finding.since or seen.now, finding.kind))


def _numbered(finding: Finding, seen: Seen) -> Finding:
    order = finding.order_id and seen.orders.get(finding.order_id)
    return replace(finding, number=order.number) if order else finding


def about(findings: list[Finding], order_id: UUID) -> list[Finding]:
    """Those of one order."""
    return [finding for finding in findings if finding.order_id == order_id]


def waits_for(seen: Seen, order: Order) -> list[str]:
    """What the order's saga has not come to yet, however recently it began."""
    if order.status == "pending":
        stock = _stock_awaited(seen, order)
        money = _money_awaited(order, seen.payments.get(order.order_id))
        return stock if stock == [STOCK_OF_OTHERS] and money == [_CAPTURE_AWAITED] else [*stock, *money]
    if order.status == "paid":
        awaited = [*returns.awaited(seen, order)]
    else:
        awaited = [f"order to hear {type_}" for type_ in seen.owes(order)]
    hold = seen.holds.get(order.order_id)
    if order.status == "paid" and (hold is None or hold.state != "sold"):
        awaited.append("product to hear order.paid and sell the stock")
    if f"order.{order.status}" not in seen.told.get(order.order_id, ()):
        awaited.append(f"the timeline to hear order.{order.status}")
    return awaited


def _past_deadline(seen: Seen, before: datetime) -> Iterator[Finding]:
    for order in seen.orders.values():
        if order.status == "pending" and order.deadline < before:
            means = "pending past its deadline: order's sweep has not come round"
            yield Finding("past-deadline", order.order_id, order.deadline, means, _look_at("order"))


def _pending(seen: Seen, before: datetime) -> Iterator[Finding]:
    asked = {call.order_id for call in seen.calls if call.service == "payment" and call.since < before}
    for order in seen.orders.values():
        if order.status != "pending" or order.created_at >= before or order.deadline < before:
            continue
        if order.action_expires_at is not None and order.action_expires_at >= before:
            continue  # its shopper has time to confirm with her bank
        if waits_for(seen, order) == [STOCK_OF_OTHERS] and not _has_waited_too_long(seen, order):
            continue
        payment = seen.payments.get(order.order_id)
        if order.order_id in asked:
            continue  # it waits for the provider, which is told of elsewhere
        if payment is not None and payment.state == "captured":
            kind, means = "paid-not-heard", "the money is taken, and order has not heard order.paid"
        else:
            kind, means = "slow", "waits for " + "; ".join(waits_for(seen, order))
        yield Finding(kind, order.order_id, order.created_at, means, nudge_command(order.order_id))


def _refund_failed(seen: Seen, _: datetime) -> Iterator[Finding]:
    for payment in seen.payments.values():
        if payment.state != "refund_failed" or payment.refund_at is None:
            continue  # without a moment to ask again it was made, and came back: told of elsewhere
        means = f"the provider refuses the refund ({payment.refunds_refused}×): {payment.code}"
        if payment.refund_at > seen.now:
            means += f"; it repeats its answer until {payment.refund_at:%d %b %H:%M} UTC"
        order = seen.orders.get(payment.order_id)
        since = order.cancelled_at if order else None
        means += "; settle it with the provider, then nudge the saga"
        yield Finding("refund-failed", payment.order_id, since, means, nudge_command(payment.order_id))


def _money_of_cancelled(seen: Seen, before: datetime) -> Iterator[Finding]:
    for order in _cancelled(seen, before):
        payment = seen.payments.get(order.order_id)
        if payment is None or payment.state not in _HAS_MONEY:
            continue
        means = f"cancelled, and its money is {_HAS_MONEY[payment.state]}"
        if payment.cancelled:
            means += ": the provider has not answered"
            following = _look_at("payment")
        else:
            means += ": payment has not heard order.cancelled"
            following = nudge_command(order.order_id)
        yield Finding("money-not-back", order.order_id, order.cancelled_at, means, following)


def _stock_of_ended(seen: Seen, before: datetime) -> Iterator[Finding]:
    for order in seen.orders.values():
        hold = seen.holds.get(order.order_id)
        ended = order.cancelled_at or order.paid_at
        kept = ("reserved", "sold") if order.status == "cancelled" else ("reserved",)
        if hold is not None and hold.state in kept and ended is not None and ended < before:
            means = f"{order.status}, and its stock is still {hold.state}: product has not heard so"
            yield Finding("stock-held", order.order_id, ended, means, nudge_command(order.order_id))


def _stock_not_sold(seen: Seen, before: datetime) -> Iterator[Finding]:
    for order in seen.orders.values():
        hold = seen.holds.get(order.order_id)
        if order.paid_at is None or order.paid_at >= before or order.status != "paid" or hold is None:
            continue
        if hold.state not in ("sold", "reserved"):
            means = f"paid, and its stock is {hold.state}: look into it, it may have to be cancelled"
            yield Finding(
                "stock-not-sold", order.order_id, order.paid_at, means, f"shop saga show {order.order_id}"
            )


def _not_told(seen: Seen, before: datetime) -> Iterator[Finding]:
    for order in seen.orders.values():
        ended, event = order.cancelled_at or order.paid_at, f"order.{order.status}"
        if ended is not None and ended < before and event not in seen.told.get(order.order_id, ()):
            means = f"{order.status}, and the timeline has not heard {event}"
            yield Finding("not-told", order.order_id, ended, means, nudge_command(order.order_id))


def _not_noted(seen: Seen, before: datetime) -> Iterator[Finding]:
    """Undone where it had to be, but order has not heard of it."""
    for order in _cancelled(seen, before):
        hold, payment = seen.holds.get(order.order_id), seen.payments.get(order.order_id)
        done = {
            "stock.released": hold is not None and hold.state in ("released", "restocked"),
            "payment.voided": payment is not None and payment.state == "voided",
            "payment.refunded": payment is not None and payment.state == "refunded",
        }
        missed = [type_ for type_ in seen.owes(order) if done[type_]]
        if missed:
            means = f"undone, and order has not heard {' and '.join(missed)}"
            yield Finding(
                "not-heard", order.order_id, order.cancelled_at, means, nudge_command(order.order_id)
            )


def _unknown_outcomes(seen: Seen, before: datetime) -> Iterator[Finding]:
    for call in seen.calls:
        if call.since < before and call.service == "payment" and not _is_pending(call):
            if call.kind == LIST:
                yield from provider.list_unread(call, _tried(call))
                continue
            means = f"the provider has not told the outcome of {call.kind}{_tried(call)}"
            following = (
                f"shop logs payment; {nudge_command(call.order_id)}"  # which has the provider asked at once
            )
            yield Finding("outcome-unknown", call.order_id, call.since, means, following)


def _unsent_letters(seen: Seen, before: datetime) -> Iterator[Finding]:
    for call in seen.calls:
        if call.since < before and call.service == "notification" and not _is_put_off(call):
            means = f"the {call.kind} has not been sent{_tried(call)}"
            yield Finding("letter-not-sent", call.order_id, call.since, means, _look_at("notification"))


def _undeliverable_mails(seen: Seen, _: datetime) -> Iterator[Finding]:
    for mail in seen.undeliverable:
        means = f"the {mail.reason} {_NOT_DELIVERED[mail.fate]}: {mail.why or 'nobody knows why'}"
        order_id = None if mail.reason == "welcome" else mail.order_id or mail.subject_id
        following = f"shop mails resend {mail.id} --why TEXT"
        yield Finding(f"mail-{mail.fate.replace('_', '-')}", order_id, mail.at, means, following)


def _unwritten_letters(seen: Seen, before: datetime) -> Iterator[Finding]:
    for order in seen.orders.values():
        ended = order.cancelled_at or order.paid_at
        owed = "cancellation" if order.status == "cancelled" else "receipt"
        written = seen.letters_to.get(order.order_id)
        fate = written.mails.get(owed) if written is not None else None
        if ended is None or ended >= before:
            continue
        if fate is None:
            means = f"{order.status}, and notification has not heard so: no {owed} is written"
            yield Finding("letter-not-written", order.order_id, ended, means, nudge_command(order.order_id))
        payment = seen.payments.get(order.order_id)
        if fate == "withheld" and payment is not None and payment.state in GAVE_BACK:
            means = f"cancelled, and notification has not heard that money was held: the {owed} is withheld"
            yield Finding("mail-withheld", order.order_id, ended, means, nudge_command(order.order_id))


def _dead_letters(seen: Seen, _: datetime) -> Iterator[Finding]:
    for letter in seen.dead:
        order_id = UUID(letter.order_id) if letter.order_id else None
        step = letter.step
        what = f"{letter.queue} gave up on {letter.event_type or 'a message'}"
        undoes = f", which undoes {step.compensates}" if step is not None and step.compensates else ""
        means = f"{what}{undoes}: {letter.reason}"
        yield Finding(
            "dead-letter", order_id, letter.first_failed_at, means, f"shop dead-letters show {letter.id}"
        )


def _unsaid(seen: Seen, before: datetime) -> Iterator[Finding]:
    for row in seen.unsaid:
        if row.since < before:
            leased = row.leased_until > seen.now
            order_id = None if row.type == "saga.nudged" else row.order_id or row.subject
            if row.attempts:
                again = f"tried again at {row.leased_until:%H:%M:%S} UTC" if leased else "tried again now"
                means = f"the broker has refused {row.service}'s {row.type} {row.attempts}×, {again}: "
                means += shorten(row.error or "", ERROR_LENGTH, placeholder=" …")
                following = f"shop broker check; shop logs {row.service}"
                yield Finding("publish-refused", order_id, row.since, means, following)
                continue
            why = f"leased until {row.leased_until:%H:%M:%S} UTC" if leased else "and nobody takes it up"
            means = f"{row.service} has not published {row.type}, {why}"
            yield Finding("not-published", order_id, row.since, means, _look_at(row.service))


def _unheard(seen: Seen, _: datetime) -> Iterator[Finding]:
    for queue in seen.queues:
        if queue.messages and not queue.consumers:
            means = f"{queue.messages} waiting in {queue.name}, and nobody consumes them"
            yield Finding("nobody-listens", None, None, means, "shop up")


def _broker(seen: Seen, _: datetime) -> Iterator[Finding]:
    for issue in seen.broker:
        yield Finding(issue.kind, None, None, issue.means, issue.next)


_LOOKS: tuple[Callable[[Seen, datetime], Iterator[Finding]], ...] = (
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
    _not_told,
    _not_noted,
    _unknown_outcomes,
    provider.requests_refused,
    _unsent_letters,
    _undeliverable_mails,
    _unwritten_letters,
    returns.unwritten_mails,
    _dead_letters,
    _unsaid,
    _unheard,
    _broker,
)

_NOT_DELIVERED = {
    "rejected": "was rejected for good",
    "given_up": "was given up",
    "in_doubt": "may have been sent or not",
}

_HAS_MONEY = {
    "authorizing": "being held",
    "action_required": "to be confirmed by the shopper",
    "authorized": "held",
    "capturing": "being taken",
    "captured": "taken",
    "voiding": "being let go",
    "refunding": "being refunded",
}


def _cancelled(seen: Seen, before: datetime) -> Iterator[Order]:
    for order in seen.orders.values():
        if order.cancelled_at is not None and order.cancelled_at < before:
            yield order


def _stock_awaited(seen: Seen, order: Order) -> list[str]:
    hold = seen.holds.get(order.order_id)
    if hold is None:
        return ["product to hear order.created and reserve the stock"]
    if hold.state == "waiting":
        return [STOCK_OF_OTHERS]
    return ["order to hear stock.rejected"] if hold.state == "rejected" else []


def _has_waited_too_long(seen: Seen, order: Order) -> bool:
    """So that product should have ended it, whatever it is told."""
    since = seen.holds[order.order_id].waiting_since
    return since is not None and since + LONGEST_WAIT < seen.now


def _money_awaited(order: Order, payment: Payment | None) -> list[str]:
    if payment is None or payment.state == "expected":
        return ["payment to hear order.created and hold the money"]
    match payment.state:
        case "authorizing" | "capturing":
            return [f"the provider: the money is {_HAS_MONEY[payment.state]}"]
        case "action_required":
            assert payment.action_expires_at is not None, "the database sees to that"
            if order.action_url is None:
                return ["order to hear payment.action_required and show the shopper the bank's page"]
            return [f"the shopper to confirm with the bank until {payment.action_expires_at:%H:%M:%S} UTC"]
        case "authorized":
            return [_CAPTURE_AWAITED]
        case "captured":
            return ["order to hear order.paid"]
        case "declined":
            return ["order to hear payment.declined"]
    return []


def _is_pending(call: CallSeen) -> bool:
    """It was answered, and the answer is that somebody else has to do something first."""
    return (call.error or "").startswith(f"{OutcomePending.__name__}: ")


def _is_put_off(call: CallSeen) -> bool:
    """It waits until its recipient may have more mail, and goes out by itself."""
    return (call.error or "").startswith(f"{PutOff.__name__}: ")


def _tried(call: CallSeen) -> str:
    if not call.attempts:
        return ": it has not been tried"
    return f" after {call.attempts} attempts: {shorten(call.error or '', ERROR_LENGTH, placeholder=' …')}"


def _look_at(service: str) -> str:
    return f"shop status; shop logs {service}"
