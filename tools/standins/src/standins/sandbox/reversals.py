"""Money that goes back: refunds by the shop or in the provider's dashboard, refunds that fail, disputes.

What happens later at the real provider takes seconds here, and the control API triggers it at once.
"""

from collections.abc import Iterator
from dataclasses import replace

from standins.sandbox import cards, forms
from standins.sandbox.currencies import check_units
from standins.sandbox.errors import Refusal
from standins.sandbox.forms import Form
from standins.sandbox.intents import CLOSED_DISPUTE, EXPIRED_UNCAPTURED, OPEN_DISPUTE, Dispute, Intent, Refund
from standins.sandbox.operations import Call, Effect, Here, fresh_id
from standins.sandbox.state import State

REASONS = ("duplicate", "fraudulent", "requested_by_customer")
STATUSES = ("failed", "succeeded")
DUE_IN = 9 * 24 * 3600
CARD_EXPIRED = "expired_or_canceled_card"


def refund(state: State, form: Form, _: str, here: Here) -> Call:
    forms.only(form, {"payment_intent", "charge", "amount", "reason", "metadata", "expand"})
    name = _refunded_intent(state, form)
    intent, amount = state.intents.find(name, "payment_intent"), forms.amount(form, "amount")
    reason, notes = forms.choice(form, "reason", REASONS), forms.metadata(form)
    check_units(amount, intent.currency, "amount")
    status = "pending" if intent.card == cards.REFUND_PENDS else "succeeded"

    def act(_: str | None) -> Effect:
        effect = _refunded(state, name, amount, here.now)
        assert effect.refund is not None
        return replace(effect, refund=replace(effect.refund, reason=reason, metadata=notes, status=status))

    return Call("refund", name, act, intent.card, name)


def refund_by_dashboard(state: State, name: str, now: int, amount: int | None) -> Call:
    """A refund in the provider's dashboard, without the shop's metadata."""
    state.intents.find(name, "payment_intent")
    return Call("refund by dashboard", name, lambda _: _refunded(state, name, amount, now))


def turn_refund(state: State, name: str, status: str, reason: str = CARD_EXPIRED) -> Call:
    """A pending refund fails or succeeds."""
    before = state.refunds.find(name)
    if status not in STATUSES:
        raise Refusal(f"status must be one of {', '.join(STATUSES)}")
    if before.status in ("failed", status):
        raise Refusal(f"The refund is {before.status} already")
    failed = status == "failed"

    def act(_: str | None) -> Effect:
        intent = state.intents[before.intent]
        after = replace(before, status=status, failure_reason=reason if failed else None)
        back = replace(intent, refunded=intent.refunded + after.moved - before.moved)
        return Effect(back, after, events=("refund.updated", *(["refund.failed"] if failed else [])))

    return Call("refund turns", name, act)


def expire(state: State, now: int, payment_intent: str) -> Call:
    """An authorization expires after a week: the provider releases it, and records that as a refund."""
    before = state.intents.find(payment_intent, "intent")

    def act(_: str | None) -> Effect:
        after = before.expire(now)
        released = Refund.of(before, fresh_id("re"), before.amount, now, reason=EXPIRED_UNCAPTURED)
        events = ("payment_intent.canceled", "charge.expired", "charge.refunded", "refund.created")
        return Effect(after, released, events=events)

    return Call("expire", payment_intent, act)


def due(state: State, intent: Intent, now: int) -> Iterator[Call]:
    """The later events of the payment's card."""
    for refund in state.refunds.of(intent.id):
        if refund.status == "pending":
            yield turn_refund(state, refund.id, "succeeded")
        elif refund.status == "succeeded" and intent.card == cards.REFUND_FAILS and refund.moved:
            yield turn_refund(state, refund.id, "failed")
    if intent.card in cards.DISPUTES and intent.captured and not state.disputes.of(intent.id):
        reason, status = cards.DISPUTES[intent.card]
        yield open_dispute(state, intent.id, now, reason, status)


def open_dispute(
    state: State, name: str, now: int, reason: str, status: str, amount: int | None = None
) -> Call:
    """The shopper's bank disputes the payment and withdraws the money; an inquiry withdraws nothing."""
    intent = state.intents.find(name, "intent")
    if not intent.captured:
        raise Refusal("Only what was captured can be disputed")
    if status not in OPEN_DISPUTE:
        raise Refusal(f"status must be one of {', '.join(OPEN_DISPUTE)}")

    def act(_: str | None) -> Effect:
        terms = {"reason": reason, "status": status, "due_by": now + DUE_IN}
        dispute = Dispute.of(intent, fresh_id("dp"), amount or intent.captured, now, **terms)
        taken = ["charge.dispute.funds_withdrawn"] if dispute.withdrawn else []
        return Effect(state.intents[name], events=("charge.dispute.created", *taken), dispute=dispute)

    return Call("dispute", name, act)


def turn_dispute(state: State, name: str, status: str) -> Call:
    """A dispute changes its status."""
    before = state.disputes.find(name)
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


def _refunded(state: State, name: str, amount: int | None, now: int) -> Effect:
    before = state.intents[name]
    after = before.refund(amount)
    made = Refund.of(before, fresh_id("re"), after.refunded - before.refunded, now)
    return Effect(after, made, events=("charge.refunded", "refund.created"))


def _refunded_intent(state: State, form: Form) -> str:
    charge, intent = forms.text(form, "charge"), forms.text(form, "payment_intent")
    if charge and intent:
        raise Refusal("You may only specify one of these parameters: charge, payment_intent.", param="charge")
    if charge:
        return state.intent_of_charge(charge).id
    if intent is None:
        message = "One of the following params should be provided for this request: payment_intent or charge."
        raise Refusal(message, code="parameter_missing", param="payment_intent")
    return intent
