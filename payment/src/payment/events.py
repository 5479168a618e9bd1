"""The events that payment publishes about the whole of an order's money, and what a shopper learns of why
her payment was declined.

The codes of declines are Stripe's: https://docs.stripe.com/declines/codes and
https://docs.stripe.com/error-codes.
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from contracts import (
    CURRENCIES,
    NOT_CONFIRMED,
    DeclineReason,
    Money,
    OrderCreated,
    OrderPaid,
    PaymentActionRequired,
    PaymentAuthorized,
    PaymentDeclined,
    PaymentRefunded,
    PaymentVoided,
)


def action_required(
    order: OrderCreated, payment_id: str, url: str | None, expires_at: datetime | None
) -> PaymentActionRequired:
    assert url is not None, "a payment that waits for confirmation has the page's address"
    assert expires_at is not None, "and expires"
    return PaymentActionRequired(
        order_id=order.order_id, payment_id=payment_id, url=url, expires_at=expires_at
    )


def authorized(order: OrderCreated, payment_id: str) -> PaymentAuthorized:
    return PaymentAuthorized(order_id=order.order_id, payment_id=payment_id, total=order.total)


def declined(order_id: UUID, code: str) -> PaymentDeclined:
    return PaymentDeclined(order_id=order_id, code=shown_code(code), decline_reason=decline_reason(code))


def paid(order: OrderCreated, payment_id: str) -> OrderPaid:
    # An event ignores the fields that it does not have: here, how and until when the order was to be paid.
    return OrderPaid(**dict(order), payment_id=payment_id)


def voided(order: OrderCreated, payment_id: str) -> PaymentVoided:
    return PaymentVoided(order_id=order.order_id, payment_id=payment_id)


def refunded(order: OrderCreated, payment_id: str, before: int) -> PaymentRefunded:
    """`before` was refunded in parts."""
    currency = order.total.currency
    return PaymentRefunded(
        order_id=order.order_id,
        payment_id=payment_id,
        contact=order.contact,
        total=Money(amount=max(0, order.total.amount - before), currency=currency),
        number=order.number,
        before=Money(amount=before, currency=currency) if before else None,
    )


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

# Stripe: the user of a stolen card must not learn that this is known.
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


def is_chargeable(money: Money) -> bool:
    """Whether the provider accepts this currency and amount."""
    currency = CURRENCIES.get(money.currency)
    return currency is not None and currency.can_be_charged(money.amount)


def shown_code(code: str) -> str:
    """The code that a shopper may see."""
    return "generic_decline" if code in _SECRET_CODES else code
