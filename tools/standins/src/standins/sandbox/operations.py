"""The calls that move money. Each is read and checked first, which leaves no trace, and then carried out."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from standins.sandbox import cards, forms
from standins.sandbox.currencies import check_charge, check_units
from standins.sandbox.errors import Refusal, missing
from standins.sandbox.forms import Form
from standins.sandbox.intents import Dispute, Intent, Refund
from standins.sandbox.state import State

_CREATE = """
    amount currency capture_method confirm payment_method allowed_payment_method_types return_url off_session
    automatic_payment_methods error_on_requires_action description receipt_email statement_descriptor
    statement_descriptor_suffix metadata expand
"""
CREATE = frozenset(_CREATE.split())
ONLY_CONFIRMED = ("return_url", "off_session", "error_on_requires_action")
CANCEL_REASONS = ("duplicate", "fraudulent", "requested_by_customer", "abandoned")


@dataclass(frozen=True, slots=True)
class Here:
    """When a call came, in seconds since 1970, and where the sandbox's pages are."""

    now: int
    public_url: str


@dataclass(frozen=True, slots=True)
class Terms:
    """Where the shopper returns to from her bank, and whether she is `absent`, so that it cannot ask her."""

    return_url: str | None
    absent: bool


@dataclass(frozen=True, slots=True)
class Effect:
    """The effect of a call: the payment afterwards, and the events to send."""

    intent: Intent
    refund: Refund | None = None
    error: dict[str, Any] | None = None
    events: tuple[str, ...] = ()
    dispute: Dispute | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A checked call. `who`: the order or payment that a card's fault is counted for; `act`: carries it out,
    and takes the decline that a fault demands."""

    operation: str
    who: str
    act: Callable[[str | None], Effect]
    card: str | None = None
    intent: str | None = None


def fresh_id(prefix: str) -> str:
    return f"{prefix}_{os.urandom(12).hex()}"


def create(_: State, form: Form, __: str, here: Here) -> Call:
    if "payment_method_types" in form:
        # Gone since 2026-09-30.endive, the API version before the one that the SDK asks for.
        message = "payment_method_types is no longer supported: use allowed_payment_method_types."
        raise Refusal(message, code="payment_method_types_no_longer_supported", param="payment_method_types")
    forms.only(form, CREATE)
    card, draft, terms = _card(form), _draft(form, here.now), _terms(form)
    confirm = forms.flag(form, "confirm")
    if confirm and card is None:
        message = "You cannot confirm this PaymentIntent because it's missing a payment method."
        raise Refusal(message, code="payment_intent_unexpected_state")
    if confirm:
        _refuse_a_redirect(form)
    elif early := next((name for name in ONLY_CONFIRMED if name in form), None):
        raise Refusal(f"{early} can only be used with confirm=true.", param=early)

    def act(decline: str | None) -> Effect:
        if confirm:
            return _confirmed(draft, card, decline, terms, here)
        return Effect(replace(draft, status="requires_confirmation", card=card) if card else draft)

    return Call("authorize", draft.order_id or "", act, card)


def confirm(state: State, form: Form, name: str, here: Here) -> Call:
    forms.only(form, {"payment_method", *ONLY_CONFIRMED, "expand"})
    intent, card, terms = state.intents.find(name, "intent"), _card(form), _terms(form)
    known = card or intent.card

    def act(decline: str | None) -> Effect:
        return _confirmed(state.intents[name], known, decline, terms, here)

    return Call("authorize", intent.order_id or name, act, known, name)


def authenticate(state: State, name: str, *, passed: bool) -> Call:
    """The shopper confirms at her bank, or refuses."""
    intent = state.intents.find(name, "intent")

    def act(_: str | None) -> Effect:
        before = state.intents[name]
        decline = cards.declines_once_confirmed(before.card) if passed else cards.REFUSED
        return _decided(before.authenticate(decline, fresh_id("ch") if passed else None))

    return Call("authenticate", intent.order_id or name, act)


def capture(state: State, form: Form, name: str, _: Here) -> Call:
    forms.only(form, {"amount_to_capture", "metadata", "expand"})
    intent, notes = state.intents.find(name, "intent"), forms.metadata(form)
    amount = forms.amount(form, "amount_to_capture")
    check_units(amount, intent.currency, "amount_to_capture")

    def act(decline: str | None) -> Effect:
        current = state.intents[name]
        taken = current.capture(amount, notes)
        if decline:
            return Effect(current, error=cards.decline_error(decline, current.charge))
        return Effect(taken, events=("payment_intent.succeeded",))

    return Call("capture", name, act, intent.card, name)


def cancel(state: State, form: Form, name: str, here: Here) -> Call:
    forms.only(form, {"cancellation_reason", "expand"})
    intent, reason = (
        state.intents.find(name, "intent"),
        forms.choice(form, "cancellation_reason", CANCEL_REASONS),
    )

    def act(_: str | None) -> Effect:
        return Effect(state.intents[name].cancel(reason, here.now), events=("payment_intent.canceled",))

    return Call("cancel", name, act, intent.card, name)


def _confirmed(intent: Intent, card: str | None, decline: str | None, terms: Terms, here: Here) -> Effect:
    decline = decline or (cards.declines(card) if card else None)
    charge: str | None = fresh_id("ch")
    if card and not decline and cards.asks(card):
        if not terms.absent:
            page = f"{here.public_url}/3d_secure/{intent.id}?client_secret={intent.secret}"
            asked = intent.ask(card, page, terms.return_url)
            return Effect(asked, events=("payment_intent.requires_action",))
        decline, charge = cards.UNAUTHENTICATED, None
    return _decided(intent.confirm(card, decline, charge))


def _decided(after: Intent) -> Effect:
    """The effect of the bank's decision."""
    if after.decline:
        error = cards.decline_error(after.decline, after.charge)
        return Effect(after, error=error, events=("payment_intent.payment_failed",))
    held = after.status == "requires_capture"
    event = "payment_intent.amount_capturable_updated" if held else "payment_intent.succeeded"
    return Effect(after, events=(event,))


def _draft(form: Form, now: int) -> Intent:
    forms.text(form, "amount", required=True)
    amount, currency = forms.amount(form, "amount"), forms.text(form, "currency", required=True)
    assert amount is not None
    assert currency is not None
    currency = currency.lower()
    check_charge(amount, currency)
    method = forms.choice(form, "capture_method", ("automatic", "automatic_async", "manual"))
    return Intent(
        fresh_id("pi"),
        amount,
        currency,
        method or "automatic_async",
        now,
        forms.metadata(form),
        forms.text(form, "description"),
    )


def _terms(form: Form) -> Terms:
    return_url = forms.text(form, "return_url")
    if return_url is not None and not re.match(r"[a-z][a-z0-9+.-]*://\S", return_url):
        raise Refusal("Not a valid URL", code="url_invalid", param="return_url")
    absent = forms.flag(form, "off_session") or forms.flag(form, "error_on_requires_action")
    return Terms(return_url, absent)


def _card(form: Form) -> str | None:
    card = forms.text(form, "payment_method")
    if card is not None and not cards.is_known(card):
        raise missing("PaymentMethod", card, "payment_method")
    return card


def _refuse_a_redirect(form: Form) -> None:
    """Stripe's rule: a confirmation without a return URL must exclude methods that redirect."""
    allowed, automatic = form.get("allowed_payment_method_types"), form.get("automatic_payment_methods")
    if allowed and automatic:
        message = "Use only one of allowed_payment_method_types and automatic_payment_methods."
        raise Refusal(message, param="automatic_payment_methods")
    redirects = not (isinstance(automatic, dict) and automatic.get("allow_redirects") == "never")
    if redirects and not allowed and not form.get("return_url"):
        raise Refusal(
            "This PaymentIntent is configured to accept payment methods that might redirect your customer "
            "off of your page, so you must provide a `return_url`. If you don't want to accept "
            "redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` and "
            "`automatic_payment_methods[allow_redirects]` to `never`, or `allowed_payment_method_types[]` "
            "to `card`.",
            param="return_url",
        )
