"""What comes back from the payment provider, in the shop's words: how a call ended, what a look found, and
why a payment was declined. A call whose outcome is unknown has none yet: it is repeated until it has one.

The codes of declines are Stripe's: https://docs.stripe.com/declines/codes and
https://docs.stripe.com/error-codes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from contracts import NOT_CONFIRMED, DeclineReason, Money


@dataclass(frozen=True)
class Authorized:
    """The money is held; `None` is an amount that the shop cannot have requested."""

    payment_id: str
    held: Money | None


@dataclass(frozen=True)
class ActionRequired:
    """The shopper has to confirm at her bank's page before money is held; `url` is its address, encrypted."""

    payment_id: str
    url: str
    expires_at: datetime


@dataclass(frozen=True)
class Declined:
    """Refused for good: no money was captured, but a refused capture may leave the authorization."""

    code: str


@dataclass(frozen=True)
class Captured:
    """The money is captured, `None` as above; also the outcome of a void that came too late."""

    taken: Money | None


@dataclass(frozen=True)
class Voided:
    """No money is held any more, and none was captured. `held`: whether any was held before."""

    held: bool = True


@dataclass(frozen=True)
class Refunded:
    """All that was left is refunded. `None` as above, or if all was refunded at the provider before: then the
    payment has to be looked up."""

    amount: Money | None


@dataclass(frozen=True)
class PartRefunded:
    """A part is refunded, `None` as above."""

    amount: Money | None


@dataclass(frozen=True)
class RefundRefused:
    """The provider refuses the refund, for now."""

    code: str


Outcome = Authorized | ActionRequired | Declined | Captured | Voided | Refunded | PartRefunded | RefundRefused
"""How a call that changes something ended. A look finds `Found`."""


@dataclass(frozen=True)
class FoundRefund:
    """A refund at the provider. `order_id` and `refund_id` are the metadata of the shop's own refunds;
    without them somebody has made it at the provider. `amount` is `None` in a currency that the shop does not
    use."""

    id: str
    payment_id: str
    amount: Money | None
    status: str
    code: str | None = None
    order_id: str | None = None
    refund_id: str | None = None


@dataclass(frozen=True)
class FoundDispute:
    """A dispute at the provider. `due_by` is until when the shop may respond."""

    id: str
    payment_id: str
    amount: Money | None
    reason: str
    status: str
    due_by: datetime | None = None


@dataclass(frozen=True)
class Found:
    """A payment at the provider. `left` is what is held, or captured and not refunded, in the provider's
    units."""

    payment_id: str
    status: str
    held: Money | None
    taken: Money | None
    order_id: str | None = None
    refunds: tuple[FoundRefund, ...] = ()
    disputes: tuple[FoundDispute, ...] = ()
    left: int = 0
    currency: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True)
class Page:
    """A page of one of the provider's lists, the newest first; `after` is its last id if there are more
    pages."""

    name: str
    items: tuple[Found | FoundRefund | FoundDispute, ...]
    after: str | None


# The shop's own code, where Stripe's refusal has a message but no code.
UNUSABLE = "payment_method_unusable"
# The shop's own code for an amount that Stripe does not accept: the order was placed before checkout refused
# such currencies and prices.
NOT_CHARGEABLE = "amount_not_chargeable"

_DECLINE_CODES: Mapping[DeclineReason, tuple[str, ...]] = {
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
_DECLINE_REASONS: Mapping[str, DeclineReason] = {
    code: why for why, codes in _DECLINE_CODES.items() for code in codes
}

# Stripe: whoever uses a stolen card must not learn that this is known.
_SECRET_CODES = frozenset(
    {
        *("fraudulent", "lost_card", "merchant_blacklist", "pickup_card", "restricted_card"),
        *("security_violation", "stolen_card"),
    }
)


def decline_reason(code: str) -> DeclineReason:
    """The reason for the shopper. All codes that are not listed are a bank's."""
    if code not in _DECLINE_REASONS and code.startswith("payment_method_"):
        return "payment_method_unusable"
    return _DECLINE_REASONS.get(code, "bank_declined")


def shown_code(code: str) -> str:
    """The code that a shopper may see."""
    return "generic_decline" if code in _SECRET_CODES else code
