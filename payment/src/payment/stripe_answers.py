"""How Stripe's answers are read: what an object's status means for the call that was made, and which refusals
decline a payment.

What Stripe refuses because of the shopper's card declines the payment. Whatever else it refuses is the shop's
own fault (a wrong key, no permission, an account or a form that Stripe does not accept) and says nothing
about the card: the outcome stays unknown, and the call is repeated until somebody has fixed the cause.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import stripe

from payment.events import UNUSABLE
from payment.lookups import Answer, money
from payment.outcomes import (
    Authorized,
    Captured,
    Declined,
    Outcome,
    PartRefunded,
    Refunded,
    RefundRefused,
    Voided,
)

Refusal = stripe.CardError | stripe.InvalidRequestError


@dataclass(frozen=True)
class Redirect:
    """The shopper has to be redirected to her bank's page at `url`."""

    payment_id: str
    url: str


Read = Outcome | Redirect | None


class OutcomeUnknown(Exception):
    """The provider's answer leaves the outcome unknown: the call is repeated with the same key."""


class RequestRefused(OutcomeUnknown):
    """The provider refuses the shop's request, for every shopper: its key, account, version or form."""


SHOPS_FAULT = (
    stripe.AuthenticationError,
    stripe.PermissionError,
    stripe.InvalidRequestError,
    stripe.CardError,
    stripe.IdempotencyError,
)
"""Errors that are the shop's fault unless they were found to be the shopper's."""


def searched_authorization(search: Answer) -> Read:
    """The outcome of an authorization from all payments of its order: a payment that holds money comes first,
    then one that waits for the shopper's bank."""
    outcomes = [_authorization(intent) for intent in search["data"]]
    outcomes.sort(key=lambda one: 0 if isinstance(one, Authorized) else 1 if isinstance(one, Redirect) else 2)
    return outcomes[0] if outcomes else None


def listed_refund(refunds: Iterable[Answer], order_id: str) -> Outcome | None:
    """The outcome of refunding all that is left, from all refunds of the payment. Refunds of parts have a
    refund id, and refunds made by hand have no order id."""
    outcomes = [_refund(one) for one in refunds if _has(one, {"order_id": order_id, "refund_id": None})]
    outcomes.sort(key=lambda outcome: 0 if isinstance(outcome, Refunded) else 1 if outcome is None else 2)
    return next(iter(outcomes), None)


def listed_part(refunds: Iterable[Answer], refund_id: str) -> Outcome | None:
    """The outcome of refunding that part, from all refunds of its payment; one that failed comes last. `None`
    if it was never made: only then may it be requested again."""
    parts = [one for one in refunds if _has(one, {"refund_id": refund_id})]
    parts.sort(key=lambda one: isinstance(_part(one), RefundRefused))
    if not parts:
        return None
    outcome = _part(parts[0])
    if outcome is None:
        raise OutcomeUnknown(f"the refund is {parts[0]['status']}")
    return outcome


def _has(refund: Answer, metadata: Mapping[str, str | None]) -> bool:
    return all((refund["metadata"] or {}).get(name) == value for name, value in metadata.items())


def _authorization(intent: Answer) -> Read:
    match intent["status"]:
        case "succeeded":
            return Authorized(intent["id"], money(intent, "amount_received"))
        case "requires_capture":
            return Authorized(intent["id"], money(intent, "amount_capturable"))
        case "processing":
            return None
        case "canceled":
            return Declined("canceled")
        case "requires_action":
            redirect = (intent.get("next_action") or {}).get("redirect_to_url")
            if redirect is None:  # the checkout was answered with 202, and there is no page to redirect to
                return Declined("authentication_required")
            return Redirect(intent["id"], redirect["url"])
    error = intent.get("last_payment_error") or {}
    return Declined(error.get("decline_code") or error.get("code") or "declined")


def _confirmation(intent: Answer) -> Read:
    return None if intent["status"] == "requires_action" else _authorization(intent)


def _capture(intent: Answer) -> Outcome | None:
    match intent["status"]:
        case "succeeded":
            return Captured(money(intent, "amount_received"))
        case "canceled":
            return Declined("canceled")
    return None


def _void(intent: Answer) -> Outcome | None:
    match intent["status"]:
        case "canceled":
            return Voided(held=_was_held(intent.get("latest_charge")))
        case "succeeded":
            return Captured(money(intent, "amount_received"))
    return None


def _was_held(charge: Answer | str | None) -> bool:
    """Without a charge nothing was authorized. A charge given by its id alone counts as held: the previous
    release did not expand it."""
    return charge is not None and (isinstance(charge, str) or charge["status"] == "succeeded")


def _refund(refund: Answer) -> Outcome | None:
    match refund["status"]:
        case "succeeded":
            return Refunded(money(refund, "amount"))
        case "failed" | "canceled":
            return RefundRefused(refund.get("failure_reason") or refund["status"])
    return None


def _part(refund: Answer) -> Outcome | None:
    """The outcome of refunding a part, from its refund."""
    outcome = _refund(refund)
    return PartRefunded(outcome.amount) if isinstance(outcome, Refunded) else outcome


OUTCOME_READERS: Mapping[str, Callable[[Answer], Read]] = {
    "authorize": _authorization,
    "confirm": _confirmation,
    "capture": _capture,
    "void": _void,
    "refund": _refund,
    "refund_part": _part,
}
"""For each kind of call, how its outcome is read from the answer or from the object as it is now; `None`:
undecided."""


# Codes: https://docs.stripe.com/error-codes. `payment_method_types`, `…_options` and the like are the form's.
_SHOPPERS_CODES = frozenset(
    {"token_already_used", "token_in_use", "payment_intent_incompatible_payment_method"}
)
_SHOPPERS_PREFIX = "payment_method_"
_SHOPS_CODES = frozenset(
    {"payment_method_types_no_longer_supported", "payment_method_configuration_failures"}
)
_SHOPPERS_PARAMS = ("payment_method", "return_url")

# A token that was used before, or belongs to another customer, is refused without a code, by its message
# alone.
_STRIPES_NAME = "PaymentMethod"

_REFUND = frozenset(
    {
        "balance_insufficient",
        "charge_disputed",
        "charge_not_refundable",
        "insufficient_funds",
        "refund_disputed_payment",
    }
)
# More than is left of the payment; Stripe has a code for it, and does not always send it.
TOO_MUCH = "amount_too_large"
# Codes that refuse a kind of call for good, or for a day. A total may be too small although checkout has
# accepted it: where Stripe documents no minimum, it applies the equivalent of the account's.
_FINAL_CODES = {
    "authorize": frozenset({"amount_too_small", "amount_too_large"}),
    "capture": frozenset({"charge_expired_for_capture", "capture_charge_authorization_expired"}),
    "refund": _REFUND,
    "refund_part": _REFUND | {"charge_already_refunded", TOO_MUCH},
}


def refusal_code(refusal: Refusal, kind: str = "") -> str:
    """Why a call of that kind was refused: the bank's reason if there is one, otherwise Stripe's."""
    error = _error(refusal)
    if kind == "refund_part" and not error.get("code") and error.get("param") == "amount":
        return TOO_MUCH
    fallback = UNUSABLE if _is_about_token(refusal) else "invalid_request"
    return str(error.get("decline_code") or error.get("code") or fallback)


def is_shoppers_fault(refusal: Refusal) -> bool:
    """Whether Stripe would have accepted the request with another card, or from another shopper."""
    error = _error(refusal)
    if isinstance(refusal, stripe.CardError) and error.get("type", "card_error") == "card_error":
        return True
    code = str(error.get("code") or "")
    if code in _SHOPS_CODES:
        return False
    if code in _SHOPPERS_CODES or code.startswith(_SHOPPERS_PREFIX):
        return True
    return error.get("param") in _SHOPPERS_PARAMS or _is_about_token(refusal)


def is_final(kind: str, refusal: Refusal) -> bool:
    """Whether repeating that kind of call would be refused as well, however the request is written."""
    if isinstance(refusal, stripe.CardError):
        return is_shoppers_fault(refusal)
    return refusal_code(refusal, kind) in _FINAL_CODES.get(kind, ())


def request_refused(error: stripe.StripeError) -> RequestRefused:
    """The refusal in one line, for the operator; Stripe's message has the number of the request."""
    details = [str(detail) for name in ("code", "param") if (detail := _error(error).get(name))]
    suffix = f" ({', '.join(details)})" if details else ""
    return RequestRefused(f"{type(error).__name__}{suffix}: {error}")


def _is_about_token(refusal: Refusal) -> bool:
    error = _error(refusal)
    return not error.get("code") and _STRIPES_NAME in str(error.get("message", ""))


def _error(error: stripe.StripeError) -> dict[str, Any]:
    body = error.json_body
    return dict(body.get("error", {}) if isinstance(body, dict) else {})
