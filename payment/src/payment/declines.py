"""Why a payment was declined, in the shop's words: who said no, and what the shopper can do about it.

The codes are Stripe's: https://docs.stripe.com/declines/codes and https://docs.stripe.com/error-codes.
"""

from collections.abc import Mapping

from contracts import NOT_CONFIRMED, DeclineReason

# Ours, for what Stripe refuses in words alone.
UNUSABLE = "payment_method_unusable"
# And for what nobody can ask Stripe for: the order was placed in a currency, or at a price, from before there
# was a list of those that can be charged.
NOT_CHARGEABLE = "amount_not_chargeable"

_CODES: Mapping[DeclineReason, tuple[str, ...]] = {
    "insufficient_funds": ("insufficient_funds",),
    "card_expired": ("expired_card",),
    "card_details": (
        *("incorrect_number", "incorrect_cvc", "incorrect_zip", "incorrect_address", "incorrect_pin"),
        *("invalid_number", "invalid_cvc", "invalid_expiry_month", "invalid_expiry_year", "invalid_pin"),
    ),
    "card_not_supported": (
        *("card_not_supported", "currency_not_supported", "invalid_card_type", "country_unsupported"),
        *("payment_intent_incompatible_payment_method", "payment_method_unsupported_type"),
        "payment_method_currency_mismatch",
    ),
    "not_confirmed": (
        *("authentication_required", "authentication_not_handled", "mobile_device_authentication_required"),
        *("payment_intent_authentication_failure", "payment_method_customer_decline"),
        NOT_CONFIRMED,
    ),
    "payment_method_unusable": (
        *("resource_missing", "token_already_used", "token_in_use", "testmode_decline", UNUSABLE),
    ),
    "amount": ("amount_too_small", "amount_too_large", NOT_CHARGEABLE),
    "try_again": (
        *("processing_error", "issuer_not_available", "try_again_later", "reenter_transaction"),
        *("approve_with_id", "card_decline_rate_limit_exceeded"),
        *("payment_method_not_available", "payment_method_provider_timeout"),
    ),
    "not_completed": (
        *("amount_mismatch", "canceled", "declined", "expired", "no_answer", "url_invalid"),
        *("charge_expired_for_capture", "capture_charge_authorization_expired"),
    ),
    "bank_declined": ("payment_method_provider_decline",),
}
_REASONS: Mapping[str, DeclineReason] = {code: why for why, codes in _CODES.items() for code in codes}

# Stripe: whoever presents a stolen card is not to learn that this is known.
_SECRET = frozenset(
    {
        *("fraudulent", "lost_card", "merchant_blacklist", "pickup_card", "restricted_card"),
        *("security_violation", "stolen_card"),
    }
)


def reason(code: str) -> DeclineReason:
    """Why, for the shopper. Of the many codes that are not listed all are a bank's."""
    if code not in _REASONS and code.startswith("payment_method_"):
        return "payment_method_unusable"
    return _REASONS.get(code, "bank_declined")


def shown(code: str) -> str:
    """The code as a shopper may see it."""
    return "generic_decline" if code in _SECRET else code
