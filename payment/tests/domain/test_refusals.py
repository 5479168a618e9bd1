"""Refusals: the shopper's card is declined; whatever else Stripe refuses is the shop's fault."""

from typing import Any, get_args

import pytest
import stripe

from contracts import DeclineReason
from payment import stripe_answers
from payment.events import decline_reason, shown_code
from standins.sandbox.cards import DECLINES

USED = (
    "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, shared"
    " with a connected account without Customer attachment, or was detached from a Customer."
)


def invalid(**error: Any) -> stripe.InvalidRequestError:
    body = {"error": {"type": "invalid_request_error", **error}}
    message, param, code = (error.get(name) for name in ("message", "param", "code"))
    return stripe.InvalidRequestError(message, param, code, json_body=body)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"code": "resource_missing", "param": "payment_method"}, "resource_missing"),
        ({"code": "payment_method_unactivated"}, "payment_method_unactivated"),
        ({"code": "token_already_used"}, "token_already_used"),
        ({"message": USED}, "payment_method_unusable"),
    ],
)
def test_a_wrong_token_is_the_shoppers_fault(error: dict[str, Any], code: str) -> None:
    refusal = invalid(**error)
    assert stripe_answers.is_shoppers_fault(refusal)
    assert stripe_answers.refusal_code(refusal) == code
    assert decline_reason(code) == "payment_method_unusable"


@pytest.mark.parametrize("code", ["amount_too_small", "amount_too_large"])
def test_a_refused_amount_is_final(code: str) -> None:
    """The circuit does not count it: otherwise an order for a farthing would stop all payments."""
    refusal = invalid(code=code, param="amount")
    assert not stripe_answers.is_shoppers_fault(refusal)
    assert stripe_answers.is_final("authorize", refusal)
    assert decline_reason(code) == "amount"


@pytest.mark.parametrize(
    "error",
    [
        {"code": "parameter_unknown", "param": "fee"},
        {"code": "parameter_invalid_integer", "param": "amount"},
        {"code": "invalid_charge_amount", "param": "amount"},
        {"code": "resource_missing", "param": "customer"},
        {"code": "payment_method_types_no_longer_supported", "param": "payment_method_types"},
        {"message": "Invalid Stripe API version: 1999-01-01"},
        {"message": "Invalid currency: xxx", "param": "currency"},
    ],
)
def test_a_form_that_stripe_does_not_accept_is_the_shops_fault(error: dict[str, Any]) -> None:
    refusal = invalid(**error)
    assert not stripe_answers.is_shoppers_fault(refusal)
    assert not any(
        stripe_answers.is_final(kind, refusal) for kind in ("authorize", "capture", "void", "refund")
    )
    assert str(error.get("code", "")) in str(stripe_answers.request_refused(refusal))


@pytest.mark.parametrize("card", DECLINES)
def test_every_decline_of_the_sandbox_has_a_reason(card: str) -> None:
    code = DECLINES[card].decline_code
    assert decline_reason(code) in get_args(DeclineReason)
    assert (shown_code(code) == code) == (code not in ("lost_card", "stolen_card", "fraudulent"))


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("do_not_honor", "bank_declined"),
        ("a_code_of_tomorrow", "bank_declined"),
        ("insufficient_funds", "insufficient_funds"),
        ("incorrect_cvc", "card_details"),
        ("expired_card", "card_expired"),
        ("authentication_required", "not_confirmed"),
        ("payment_method_of_tomorrow", "payment_method_unusable"),
        ("amount_too_small", "amount"),
        ("processing_error", "try_again"),
        ("amount_mismatch", "not_completed"),
    ],
)
def test_only_declines_of_the_bank_have_its_reason(code: str, why: str) -> None:
    assert decline_reason(code) == why


def test_a_wrong_return_url_is_the_shoppers_fault_but_not_her_cards() -> None:
    refusal = invalid(code="url_invalid", param="return_url")
    assert stripe_answers.is_shoppers_fault(refusal)
    assert decline_reason(stripe_answers.refusal_code(refusal)) == "not_completed"
