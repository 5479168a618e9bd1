"""Refusals: the shopper's card is declined; whatever else Stripe refuses is the shop's fault."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args
from uuid import uuid4

import pytest
import stripe

from chassis.outbound.circuit import CircuitOpen
from contracts import DeclineReason, Money, OrderCreated
from payment import stripe_answers, stripe_requests
from payment.domain import Payment
from payment.events import decline_reason, shown_code
from payment.outcomes import Authorized, Declined, Refunded
from payment.stripe_answers import RequestRefused
from payment.stripe_client import StripeClient
from standins.sandbox.cards import DECLINES
from standins.sandbox.embedded import Embedded, embedded
from standins.sandbox.settings import Settings

KEY = "sk_test_payment"
NOW = datetime.now(UTC)
TOTAL = Money(amount=2000, currency="GBP")
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


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Embedded]:
    async with embedded(Settings(api_key=KEY, journal=tmp_path / "journal", port=0)) as running:
        yield running


@pytest.fixture
async def provider(sandbox: Embedded) -> AsyncIterator[StripeClient]:
    provider = StripeClient(KEY, base=sandbox.url, timeout=2, failures=3, reset=60)
    yield provider
    await provider.aclose()


@pytest.fixture
def order(created: OrderCreated) -> Callable[[], Payment]:
    def place() -> Payment:
        one = created.model_copy(update={"order_id": uuid4()})
        return Payment(one.order_id, order=one)

    return place


OURS = ["wrong_key", "no_permission", "bad_form"]


@pytest.mark.parametrize("kind", OURS)
async def test_a_refused_request_leaves_the_outcome_unknown_and_is_repeated_with_the_same_key(
    provider: StripeClient, sandbox: Embedded, order: Callable[[], Payment], kind: str
) -> None:
    intent = stripe_requests.call_intent("authorize", order(), NOW)
    await sandbox.fault(operation="authorize", kind=kind, count=1)

    with pytest.raises(RequestRefused):
        await provider.call(intent)
    assert isinstance(await provider.call(intent), Authorized)
    assert len((await sandbox.ledger())["payments"]) == 1


@pytest.mark.parametrize("kind", OURS)
@pytest.mark.parametrize("call", ["capture", "refund"])
async def test_a_refused_call_decides_nothing_and_can_be_repeated(
    provider: StripeClient, sandbox: Embedded, order: Callable[[], Payment], call: Any, kind: str
) -> None:
    payment = order()
    held = await provider.call(stripe_requests.call_intent("authorize", payment, NOW))
    assert isinstance(held, Authorized)
    payment.payment_id = held.payment_id
    if call == "refund":
        await provider.call(stripe_requests.call_intent("capture", payment, NOW))
    await sandbox.fault(operation=call, kind=kind, count=1)

    with pytest.raises(RequestRefused):
        await provider.call(stripe_requests.call_intent(call, payment, NOW))
    assert not isinstance(await provider.call(stripe_requests.call_intent(call, payment, NOW)), Declined)


async def test_refused_requests_open_the_circuit_and_are_an_issue_until_one_succeeds(
    sandbox: Embedded, order: Callable[[], Payment]
) -> None:
    provider = StripeClient(KEY, base=sandbox.url, timeout=2, failures=3, reset=0)
    await sandbox.fault(operation="any", kind="wrong_key", count=3)
    assert provider.issues() == {}
    for _ in range(3):
        with pytest.raises(RequestRefused):
            await provider.call(stripe_requests.call_intent("authorize", order(), NOW))

    assert "AuthenticationError" in provider.issues()["provider"]
    assert isinstance(await provider.call(stripe_requests.call_intent("authorize", order(), NOW)), Authorized)
    assert provider.issues() == {}
    await provider.aclose()


async def test_a_wrong_key_opens_the_circuit(sandbox: Embedded, order: Callable[[], Payment]) -> None:
    provider = StripeClient("sk_test_another", base=sandbox.url, timeout=2, failures=3, reset=60)
    for _ in range(3):
        with pytest.raises(RequestRefused, match="Invalid API Key"):
            await provider.call(stripe_requests.call_intent("authorize", order(), NOW))

    with pytest.raises(CircuitOpen):
        await provider.call(stripe_requests.call_intent("authorize", order(), NOW))
    await provider.aclose()


async def test_a_refunded_payment_needs_no_refund(
    provider: StripeClient, order: Callable[[], Payment]
) -> None:
    payment = order()
    held = await provider.call(stripe_requests.call_intent("authorize", payment, NOW))
    assert isinstance(held, Authorized)
    payment.payment_id = held.payment_id
    await provider.call(stripe_requests.call_intent("capture", payment, NOW))
    for _ in range(2):
        assert await provider.call(stripe_requests.call_intent("refund", payment, NOW)) == Refunded(TOTAL)


def test_a_wrong_return_url_is_the_shoppers_fault_but_not_her_cards() -> None:
    refusal = invalid(code="url_invalid", param="return_url")
    assert stripe_answers.is_shoppers_fault(refusal)
    assert decline_reason(stripe_answers.refusal_code(refusal)) == "not_completed"
