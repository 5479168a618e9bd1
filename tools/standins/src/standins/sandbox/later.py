"""Later events of a payment, caused by a bank or by a user of the provider's dashboard. Here they take
seconds, and the control API triggers them at once."""

from collections.abc import Iterator
from dataclasses import replace

from standins.sandbox import cards
from standins.sandbox.errors import Refusal, missing
from standins.sandbox.intents import CLOSED_DISPUTE, EXPIRED_UNCAPTURED, OPEN_DISPUTE, Dispute, Intent, Refund
from standins.sandbox.operations import Call, Effect, find_intent, fresh_id
from standins.sandbox.state import State

REFUND_STATUSES = ("failed", "succeeded")
FAILURE_REASONS = ("expired_or_canceled_card", "lost_or_stolen_card", "declined", "unknown")
DUE_IN = 9 * 24 * 3600


def due(state: State, intent: Intent, now: int) -> Iterator[Call]:
    """The later events of the payment's card."""
    for name in state.refunds_of.get(intent.id, ()):
        refund = state.refunds[name]
        if refund.status == "pending":
            yield turn_refund(state, name, "succeeded")
        elif refund.status == "succeeded" and intent.card == cards.REFUND_FAILS and refund.moved:
            yield turn_refund(state, name, "failed")
    if intent.card in cards.DISPUTES and intent.captured and intent.id not in state.disputes_of:
        reason, status = cards.DISPUTES[intent.card]
        yield open_dispute(state, intent.id, now, reason, status)


def turn_refund(state: State, name: str, status: str, reason: str = FAILURE_REASONS[0]) -> Call:
    """A pending refund fails or succeeds."""
    before = _refund(state, name)
    if status not in REFUND_STATUSES:
        raise Refusal(f"status must be one of {', '.join(REFUND_STATUSES)}")
    if before.status == "failed" or before.status == status:
        raise Refusal(f"The refund is {before.status} already")
    failed = status == "failed"

    def act(_: str | None) -> Effect:
        intent = state.intents[before.intent]
        after = replace(before, status=status, failure_reason=reason if failed else None)
        back = replace(intent, refunded=intent.refunded + after.moved - before.moved)
        return Effect(back, after, events=("refund.updated", *(["refund.failed"] if failed else [])))

    return Call("refund turns", name, None, None, act)


def refund_by_hand(state: State, name: str, now: int, amount: int | None) -> Call:
    """A refund in the provider's dashboard, without the shop's metadata."""
    find_intent(state, name, "payment_intent")

    def act(_: str | None) -> Effect:
        before = state.intents[name]
        after = before.refund(amount)
        assert before.charge is not None, "what was captured has a charge"
        back = after.refunded - before.refunded
        made = Refund(fresh_id("re"), name, before.charge, back, before.currency, now)
        return Effect(after, made, events=("charge.refunded", "refund.created"))

    return Call("refund by hand", name, None, None, act)


def newest_refund(state: State, name: str) -> str:
    """The last refund of that payment."""
    if not (refunds := state.refunds_of.get(name)):
        raise missing("refund", name, "payment_intent")
    return refunds[-1]


def open_dispute(
    state: State, name: str, now: int, reason: str, status: str, amount: int | None = None
) -> Call:
    """The shopper's bank disputes the payment and withdraws the money; an inquiry withdraws nothing."""
    intent = find_intent(state, name)
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
        return Effect(state.intents[name], events=("charge.dispute.created", *taken), dispute=dispute)

    return Call("dispute", name, None, None, act)


def turn_dispute(state: State, name: str, status: str) -> Call:
    """A dispute changes its status."""
    before = state.disputes.get(name)
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
        return Effect(state.intents[before.intent], events=tuple(events), dispute=after)

    return Call("dispute turns", name, None, None, act)


def expire(state: State, name: str, now: int) -> Call:
    """An authorization expires after a week: the provider releases it, and records that as a refund."""
    find_intent(state, name)

    def act(_: str | None) -> Effect:
        before = state.intents[name]
        assert before.charge is not None, "what is held has a charge"
        let_go = Refund(
            fresh_id("re"), name, before.charge, before.amount, before.currency, now, EXPIRED_UNCAPTURED
        )
        events = ("payment_intent.canceled", "charge.expired", "charge.refunded", "refund.created")
        return Effect(before.expire(now), let_go, events=events)

    return Call("expire", name, None, None, act)


def _refund(state: State, name: str) -> Refund:
    refund = state.refunds.get(name)
    if refund is None:
        raise missing("refund", name, "refund")
    return refund
