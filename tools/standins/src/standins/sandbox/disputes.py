"""Disputes, and what happens to a payment later: here within seconds, or at once by the control API."""

from collections.abc import Iterator
from dataclasses import replace

from standins.sandbox import cards
from standins.sandbox.errors import Refusal
from standins.sandbox.intents import CLOSED_DISPUTE, OPEN_DISPUTE, Dispute, Intent
from standins.sandbox.operations import Call, Effect, fresh_id
from standins.sandbox.refunds import turn_refund
from standins.sandbox.state import State

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


def open_dispute(
    state: State, name: str, now: int, reason: str, status: str, amount: int | None = None
) -> Call:
    """The shopper's bank disputes the payment and withdraws the money; an inquiry withdraws nothing."""
    intent = state.intent(name)
    if not intent.captured:
        raise Refusal("Only what was captured can be disputed")
    if status not in OPEN_DISPUTE:
        raise Refusal(f"status must be one of {', '.join(OPEN_DISPUTE)}")

    def act(_: str | None) -> Effect:
        assert intent.charge is not None, "what was captured has a charge"
        disputed, due_by = amount or intent.captured, now + DUE_IN
        dispute = Dispute(
            fresh_id("dp"), name, intent.charge, disputed, intent.currency, now, reason, status, due_by
        )
        taken = ["charge.dispute.funds_withdrawn"] if dispute.withdrawn else []
        return Effect(state.intents[name], events=("charge.dispute.created", *taken), dispute=dispute)

    return Call("dispute", name, act)


def turn_dispute(state: State, name: str, status: str) -> Call:
    """A dispute changes its status."""
    before = state.dispute(name)
    if status not in (*OPEN_DISPUTE, *CLOSED_DISPUTE):
        raise Refusal(f"status must be one of {', '.join((*OPEN_DISPUTE, *CLOSED_DISPUTE))}")
    if before.status in (*CLOSED_DISPUTE, status):
        raise Refusal(f"The dispute is {before.status} already")

    def act(_: str | None) -> Effect:
        after = replace(before, status=status)
        events = ["charge.dispute.closed" if status in CLOSED_DISPUTE else "charge.dispute.updated"]
        if after.withdrawn < before.withdrawn:
            events.append("charge.dispute.funds_reinstated")
        return Effect(state.intents[before.intent], events=tuple(events), dispute=after)

    return Call("dispute turns", name, act)
