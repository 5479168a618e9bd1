"""What happens to a payment long after the shop has asked for anything: a bank's doing, or a person's at the
provider. Here it takes seconds, and the control API has it done at once."""

from collections.abc import Iterator
from dataclasses import replace

from standins.sandbox import cards
from standins.sandbox.book import Book
from standins.sandbox.errors import Refusal, missing
from standins.sandbox.intents import CLOSED_DISPUTE, EXPIRED_UNCAPTURED, OPEN_DISPUTE, Dispute, Intent, Refund
from standins.sandbox.operations import Call, Effect, find_intent, fresh_id

REFUND_STATUSES = ("failed", "succeeded")
FAILURE_REASONS = ("expired_or_canceled_card", "lost_or_stolen_card", "declined", "unknown")
DUE_IN = 9 * 24 * 3600


def due(book: Book, intent: Intent, now: int) -> Iterator[Call]:
    """What the payment's card has still to come."""
    for name in book.refunds_of.get(intent.id, ()):
        refund = book.refunds[name]
        if refund.status == "pending":
            yield turn_refund(book, name, "succeeded")
        elif refund.status == "succeeded" and intent.card == cards.REFUND_FAILS and refund.moved:
            yield turn_refund(book, name, "failed")
    if intent.card in cards.DISPUTES and intent.captured and intent.id not in book.disputes_of:
        reason, status = cards.DISPUTES[intent.card]
        yield open_dispute(book, intent.id, now, reason, status)


def turn_refund(book: Book, name: str, status: str, reason: str = FAILURE_REASONS[0]) -> Call:
    """The bank sends the money back, or has taken it at last."""
    before = _refund(book, name)
    if status not in REFUND_STATUSES:
        raise Refusal(f"status must be one of {', '.join(REFUND_STATUSES)}")
    if before.status == "failed" or before.status == status:
        raise Refusal(f"The refund is {before.status} already")
    failed = status == "failed"

    def act(_: str | None) -> Effect:
        intent = book.intents[before.intent]
        after = replace(before, status=status, failure_reason=reason if failed else None)
        back = replace(intent, refunded=intent.refunded + after.moved - before.moved)
        return Effect(back, after, events=("refund.updated", *(["refund.failed"] if failed else [])))

    return Call("refund turns", name, None, None, act)


def refund_by_hand(book: Book, name: str, now: int, amount: int | None) -> Call:
    """Somebody gives money back in the provider's dashboard: nothing of the shop's is written on it."""
    find_intent(book, name, "payment_intent")

    def act(_: str | None) -> Effect:
        before = book.intents[name]
        after = before.refund(amount)
        assert before.charge is not None, "what was captured has a charge"
        back = after.refunded - before.refunded
        made = Refund(fresh_id("re"), name, before.charge, back, before.currency, now)
        return Effect(after, made, events=("charge.refunded", "refund.created"))

    return Call("refund by hand", name, None, None, act)


def newest_refund(book: Book, name: str) -> str:
    """The last refund of that payment."""
    if not (refunds := book.refunds_of.get(name)):
        raise missing("refund", name, "payment_intent")
    return refunds[-1]


def open_dispute(
    book: Book, name: str, now: int, reason: str, status: str, amount: int | None = None
) -> Call:
    """The shopper asks her bank for the money, and it takes it; an inquiry only asks."""
    intent = find_intent(book, name)
    if not intent.captured:
        raise Refusal("Only what was captured can be disputed")
    if status not in OPEN_DISPUTE:
        raise Refusal(f"status must be one of {', '.join(OPEN_DISPUTE)}")

    def act(_: str | None) -> Effect:
        assert intent.charge is not None, "what was captured has a charge"
        disputed = amount or intent.captured
        dispute = Dispute(
            fresh_id("dp"),
            name,
            intent.charge,
            disputed,
            intent.currency,
            now,
            reason,
            status,
            now + DUE_IN,
        )
        taken = ["charge.dispute.funds_withdrawn"] if dispute.withdrawn else []
        return Effect(book.intents[name], events=("charge.dispute.created", *taken), dispute=dispute)

    return Call("dispute", name, None, None, act)


def turn_dispute(book: Book, name: str, status: str) -> Call:
    """It is looked into, or ends."""
    before = book.disputes.get(name)
    if before is None:
        raise missing("dispute", name, "dispute")
    if status not in (*OPEN_DISPUTE, *CLOSED_DISPUTE):
        raise Refusal(f"status must be one of {', '.join((*OPEN_DISPUTE, *CLOSED_DISPUTE))}")
    if before.status in CLOSED_DISPUTE or before.status == status:
        raise Refusal(f"The dispute is {before.status} already")

    def act(_: str | None) -> Effect:
        after = replace(before, status=status)
        events = ["charge.dispute.closed" if status in CLOSED_DISPUTE else "charge.dispute.updated"]
        if after.withdrawn < before.withdrawn:
            events.append("charge.dispute.funds_reinstated")
        return Effect(book.intents[before.intent], events=tuple(events), dispute=after)

    return Call("dispute turns", name, None, None, act)


def expire(book: Book, name: str, now: int) -> Call:
    """Nobody has captured what was held for a week: the provider lets it go, and books that as a refund."""
    find_intent(book, name)

    def act(_: str | None) -> Effect:
        before = book.intents[name]
        assert before.charge is not None, "what is held has a charge"
        let_go = Refund(
            fresh_id("re"), name, before.charge, before.amount, before.currency, now, EXPIRED_UNCAPTURED
        )
        events = ("payment_intent.canceled", "charge.expired", "charge.refunded", "refund.created")
        return Effect(before.expire(now), let_go, events=events)

    return Call("expire", name, None, None, act)


def _refund(book: Book, name: str) -> Refund:
    refund = book.refunds.get(name)
    if refund is None:
        raise missing("refund", name, "refund")
    return refund
