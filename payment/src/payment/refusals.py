"""Whose refusal is it? What Stripe turns down because of the shopper's card is hers; all else is ours.

A refusal of ours (a wrong key, no permission, an account or a form that Stripe does not take) tells nothing
about the shopper's card: the call's outcome stays unknown, and it is made again until somebody has mended it.
"""

from typing import Any

import stripe

from payment.declines import UNUSABLE

Refusal = stripe.CardError | stripe.InvalidRequestError

# Codes: https://docs.stripe.com/error-codes. `payment_method_types`, `…_options` and the like are our form's.
_SHOPPERS = frozenset({"token_already_used", "token_in_use", "payment_intent_incompatible_payment_method"})
_SHOPPERS_PREFIX = "payment_method_"
_OUR_CODES = frozenset({"payment_method_types_no_longer_supported", "payment_method_configuration_failures"})
_SHOPPERS_PARAMS = ("payment_method", "return_url")

# A token that was used before, or is of another customer, is refused without a code, in words alone.
_STRIPES_NAME = "PaymentMethod"

# What a call of that kind is refused for good, or for a day. All else of it is ours. A total may be too small
# though checkout has let it pass: where Stripe names no minimum, it wants the equivalent of the account's.
_REFUND = frozenset(
    {
        "balance_insufficient",
        "charge_disputed",
        "charge_not_refundable",
        "insufficient_funds",
        "refund_disputed_payment",
    }
)
# More than is left of the payment; the provider has a code for it, and does not always give it.
TOO_MUCH = "amount_too_large"
_FOR_GOOD = {
    "authorize": frozenset({"amount_too_small", "amount_too_large"}),
    "capture": frozenset({"charge_expired_for_capture", "capture_charge_authorization_expired"}),
    "refund": _REFUND,
    "refund_part": _REFUND | {"charge_already_refunded", TOO_MUCH},
}


class Unknown(Exception):
    """The provider has not told yet how the call ended: it is to be made again with the same key."""


class RequestRefused(Unknown):
    """The provider refuses our request, whoever the shopper is: its key, account, version or form."""


OURS = (
    stripe.AuthenticationError,
    stripe.PermissionError,
    stripe.InvalidRequestError,
    stripe.CardError,
    stripe.IdempotencyError,
)
"""What is ours when nobody has found it to be the shopper's."""


def code(refusal: Refusal) -> str:
    """The bank's reason where there is one, else Stripe's."""
    error = _error(refusal)
    fallback = UNUSABLE if _names_a_token(refusal) else "invalid_request"
    return str(error.get("decline_code") or error.get("code") or fallback)


def code_of(kind: str, refusal: Refusal) -> str:
    """The same, for a call of that kind."""
    error = _error(refusal)
    if kind == "refund_part" and not error.get("code") and error.get("param") == "amount":
        return TOO_MUCH
    return code(refusal)


def is_shoppers(refusal: Refusal) -> bool:
    """Whether another card, or another shopper, would have been taken."""
    error = _error(refusal)
    if isinstance(refusal, stripe.CardError) and error.get("type", "card_error") == "card_error":
        return True
    code = str(error.get("code") or "")
    if code in _OUR_CODES:
        return False
    if code in _SHOPPERS or code.startswith(_SHOPPERS_PREFIX):
        return True
    return error.get("param") in _SHOPPERS_PARAMS or _names_a_token(refusal)


def is_for_good(kind: str, refusal: Refusal) -> bool:
    """Whether that call is refused for what it is about, and not for how it was asked."""
    if isinstance(refusal, stripe.CardError):
        return is_shoppers(refusal)
    return code_of(kind, refusal) in _FOR_GOOD.get(kind, ())


def ours(error: stripe.StripeError) -> RequestRefused:
    """The refusal in a line for whoever has to mend it, with Stripe's own number of the request."""
    details = [str(detail) for name in ("code", "param") if (detail := _error(error).get(name))]
    named = f" ({', '.join(details)})" if details else ""
    return RequestRefused(f"{type(error).__name__}{named}: {error}")


def _names_a_token(refusal: Refusal) -> bool:
    error = _error(refusal)
    return not error.get("code") and _STRIPES_NAME in str(error.get("message", ""))


def _error(error: stripe.StripeError) -> dict[str, Any]:
    body = error.json_body
    found = body.get("error", {}) if isinstance(body, dict) else {}
    return dict(found)
