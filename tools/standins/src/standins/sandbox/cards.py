"""The test cards: Stripe's own that pass, decline or have the bank ask, and the sandbox's that break one call
of one order.

`pm_card_sandbox_captureThenTimeout` authorizes like any good card; its capture is done, then not answered.
The first word is the operation (authorize, capture, cancel, refund), the rest what happens to it (FAULTS);
`_3` at the end makes it happen to the first three requests instead of the first one.
"""

import re

from standins.sandbox.errors import INVALID, error
from standins.sandbox.faults import Fault

BRANDS = (
    "visa",
    "visa_debit",
    "mastercard",
    "mastercard_debit",
    "amex",
    "discover",
    "diners",
    "jcb",
    "unionpay",
)
REGIONS = ("us", "gb", "de", "fr", "ch", "at", "es", "it", "nl", "jp", "ca", "au")

# card: (code, decline code, parameter, message)
DECLINES: dict[str, tuple[str, str, str | None, str]] = {
    "chargeDeclined": ("card_declined", "generic_decline", None, "Your card was declined."),
    "chargeDeclinedInsufficientFunds": (
        "card_declined",
        "insufficient_funds",
        None,
        "Your card has insufficient funds.",
    ),
    "chargeDeclinedLostCard": ("card_declined", "lost_card", None, "Your card was declined."),
    "chargeDeclinedStolenCard": ("card_declined", "stolen_card", None, "Your card was declined."),
    "chargeDeclinedFraudulent": ("card_declined", "fraudulent", None, "Your card was declined."),
    "chargeDeclinedVelocityLimitExceeded": (
        "card_declined",
        "card_velocity_exceeded",
        None,
        "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
    ),
    "chargeDeclinedExpiredCard": ("expired_card", "expired_card", "exp_month", "Your card has expired."),
    "chargeDeclinedIncorrectCvc": (
        "incorrect_cvc",
        "incorrect_cvc",
        "cvc",
        "Your card's security code is incorrect.",
    ),
    "chargeDeclinedProcessingError": (
        "processing_error",
        "processing_error",
        None,
        "An error occurred while processing your card. Try again in a little bit.",
    ),
    # The bank cannot ask for a confirmation, and declines without one.
    "threeDSecureRequiredProcessingError": (
        "card_declined",
        "generic_decline",
        None,
        "Your card was declined.",
    ),
}

# Cards whose bank asks the shopper, each with the decline that follows when she has confirmed:
# https://docs.stripe.com/testing#regulatory-cards
ASKING: dict[str, str | None] = {
    "authenticationRequired": None,
    "authenticationRequiredOnSetup": None,
    "authenticationRequiredSetupForOffSession": None,
    "authenticationRequiredChargeDeclinedInsufficientFunds": "chargeDeclinedInsufficientFunds",
    "threeDSecure2Required": None,
    "threeDSecureRequired": None,
    "threeDSecureRequiredChargeDeclined": "chargeDeclined",
}
# Cards whose bank supports a confirmation but does not ask for one: the payment succeeds at once.
FRICTIONLESS = (
    "threeDSecureOptional",
    "threeDSecureOptionalProcessingError",
    "amex_threeDSecureNotSupported",
)
UNAUTHENTICATED = "authentication_required"  # the bank asks, and the shopper is absent
REFUSED = "authentication_failed"  # the shopper or her bank refused

_FAILED: dict[str, dict[str, str]] = {
    UNAUTHENTICATED: error(
        "Your card was declined. This transaction requires authentication.",
        kind="card_error",
        code="authentication_required",
    )
    | {"decline_code": "authentication_required"},
    REFUSED: error(
        "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new "
        "PaymentMethod to attempt to fulfill this PaymentIntent again.",
        kind=INVALID,
        code="payment_intent_authentication_failure",
    ),
}

FAULTS = {
    "ThenTimeout": "timeout_after",
    "ThenDisconnect": "disconnect_after",
    "ThenServerError": "error_after",
    "ThenServerErrorStored": "error_stored",
    "ServerError": "error_before",
    "Slow": "slow",
    "Declined": "decline",
}
MAGIC = re.compile(rf"pm_card_sandbox_(authorize|capture|cancel|refund)({'|'.join(FAULTS)})(?:_([1-9]\d?))?")
REFUND_FAILS = "pm_card_refundFail"
REFUND_PENDS = "pm_card_pendingRefund"
# card: the reason and the first status of the dispute that follows its capture
DISPUTES = {
    "pm_card_createDispute": ("fraudulent", "needs_response"),
    "pm_card_createDisputeProductNotReceived": ("product_not_received", "needs_response"),
    "pm_card_createDisputeInquiry": ("fraudulent", "warning_needs_response"),
}
GOOD = frozenset(f"pm_card_{name}" for name in (*BRANDS, *REGIONS, *FRICTIONLESS)) | {
    REFUND_FAILS,
    REFUND_PENDS,
    *DISPUTES,
}


def is_known(card: str) -> bool:
    return card in GOOD or asks(card) or declines(card) is not None or fault_of(card) is not None


def refunds_later(card: str | None) -> bool:
    """Whether a refund to it is pending at first."""
    return card == REFUND_PENDS


def asks(card: str) -> bool:
    """Whether its bank wants the shopper to confirm."""
    return card.removeprefix("pm_card_") in ASKING and card.startswith("pm_card_")


def declines_once_confirmed(card: str | None) -> str | None:
    """The name in DECLINES with which the bank declines although the shopper has confirmed."""
    return ASKING.get((card or "").removeprefix("pm_card_"))


def declines(card: str) -> str | None:
    """The name in DECLINES, or None when the card passes."""
    name = card.removeprefix("pm_card_").removeprefix("visa_")
    return name if card.startswith("pm_card_") and name in DECLINES else None


def decline_error(name: str, charge: str | None) -> dict[str, str]:
    """Stripe's error for a decline, or for a failed authentication, which has no charge."""
    if name in _FAILED:
        return _FAILED[name]
    code, decline_code, param, message = DECLINES[name]
    body = error(message, kind="card_error", code=code, param=param) | {"decline_code": decline_code}
    return body | {"charge": charge} if charge else body


def fault_of(card: str | None) -> Fault | None:
    match = MAGIC.fullmatch(card) if card else None
    if match is None:
        return None
    return Fault(operation=match[1], kind=FAULTS[match[2]], count=int(match[3] or 1))


def brand(card: str | None) -> str:
    name = (card or "").removeprefix("pm_card_")
    return name.removesuffix("_debit") if name in BRANDS else "visa"
