"""The test cards: Stripe's own that pass, decline or have the bank ask, and the sandbox's that break one call
of one order.

`pm_card_sandbox_captureThenTimeout` authorizes like any good card; its capture is done, then not answered.
The first word is the operation (authorize, capture, cancel, refund), the rest what happens to it (FAULTS);
`_3` at the end makes it happen to the first three requests instead of the first one.
"""

import re
from dataclasses import dataclass
from typing import cast

from standins.sandbox.errors import INVALID, error
from standins.sandbox.faults import Fault, Kind, Operation

_BRANDS = "visa visa_debit mastercard mastercard_debit amex discover diners jcb unionpay"
_REGIONS = "us gb de fr ch at es it nl jp ca au"
BRANDS, REGIONS = _BRANDS.split(), _REGIONS.split()


@dataclass(frozen=True, slots=True)
class Decline:
    """What Stripe answers when a card is declined."""

    decline_code: str
    message: str = "Your card was declined."
    code: str = "card_declined"
    param: str | None = None


DECLINES = {
    "chargeDeclined": Decline("generic_decline"),
    "chargeDeclinedInsufficientFunds": Decline("insufficient_funds", "Your card has insufficient funds."),
    "chargeDeclinedLostCard": Decline("lost_card"),
    "chargeDeclinedStolenCard": Decline("stolen_card"),
    "chargeDeclinedFraudulent": Decline("fraudulent"),
    "chargeDeclinedVelocityLimitExceeded": Decline(
        "card_velocity_exceeded",
        "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
    ),
    "chargeDeclinedExpiredCard": Decline(
        "expired_card", "Your card has expired.", "expired_card", "exp_month"
    ),
    "chargeDeclinedIncorrectCvc": Decline(
        "incorrect_cvc", "Your card's security code is incorrect.", "incorrect_cvc", "cvc"
    ),
    "chargeDeclinedProcessingError": Decline(
        "processing_error",
        "An error occurred while processing your card. Try again in a little bit.",
        "processing_error",
    ),
    # The bank cannot ask for a confirmation, and declines without one.
    "threeDSecureRequiredProcessingError": Decline("generic_decline"),
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

FAULTS: dict[str, Kind] = {
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
REFUND_PENDS = "pm_card_pendingRefund"  # a refund to it is pending at first
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
    decline = DECLINES[name]
    body = error(decline.message, kind="card_error", code=decline.code, param=decline.param)
    body |= {"decline_code": decline.decline_code}
    return body | {"charge": charge} if charge else body


def fault_of(card: str | None) -> Fault | None:
    match = MAGIC.fullmatch(card) if card else None
    if match is None:
        return None
    return Fault(operation=cast("Operation", match[1]), kind=FAULTS[match[2]], count=int(match[3] or 1))


def brand(card: str | None) -> str:
    name = (card or "").removeprefix("pm_card_")
    return name.removesuffix("_debit") if name in BRANDS else "visa"
