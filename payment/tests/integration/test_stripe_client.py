"""Calls to a provider that speaks Stripe's wire format, in fair weather and foul."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import stripe

from chassis.outbound import CircuitOpen
from chassis.saga.tx import Intent
from contracts import OrderCreated
from contracts.testing import TOTAL
from payment import stripe_requests
from payment.domain import Call, Payment
from payment.outcomes import Authorized, Captured, Declined, Refunded, Voided
from payment.stripe_answers import OutcomeUnknown
from payment.stripe_client import StripeClient
from standins.sandbox.embedded import Embedded, embedded
from standins.sandbox.settings import Settings

from ..provider import KEY, client

NOW = datetime.now(UTC)
Ask = Callable[[Call], Intent]


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Embedded]:
    settings = Settings(api_key=KEY, journal=tmp_path / "journal", port=0, slow=0.4, hang=30)
    async with embedded(settings) as running:
        yield running


@pytest.fixture
async def provider(sandbox: Embedded) -> AsyncIterator[StripeClient]:
    provider = client(sandbox.url, stripe_timeout=2)  # a busy machine is not an outage
    yield provider
    await provider.aclose()


@pytest.fixture
def order(created: OrderCreated) -> Callable[[str], Payment]:
    """A payment by that card for a new order, authorized if it is given a `payment_id`."""

    def place(card: str = "pm_card_visa") -> Payment:
        order = created.model_copy(update={"order_id": uuid4(), "payment_method": card})
        return Payment(order.order_id, order=order)

    return place


def ask(call: Call, payment: Payment) -> Intent:
    return stripe_requests.call_intent(call, payment, NOW)


async def hold(provider: StripeClient, payment: Payment) -> None:
    outcome = await provider.call(ask("authorize", payment))
    assert isinstance(outcome, Authorized)
    payment.payment_id = outcome.payment_id


async def test_the_money_is_authorized_then_captured(
    provider: StripeClient, sandbox: Embedded, order: Callable[..., Payment]
) -> None:
    payment = order()
    await hold(provider, payment)
    (held,) = (await sandbox.ledger())["payments"]
    assert (held["authorized"], held["captured"], held["currency"]) == (2000, 0, "gbp")

    assert await provider.call(ask("capture", payment)) == Captured(TOTAL)
    (taken,) = (await sandbox.ledger(str(payment.order_id)))["payments"]
    assert (taken["id"], taken["captured"], taken["charges"]) == (payment.payment_id, 2000, 1)


@pytest.mark.parametrize(
    ("card", "code"),
    [
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card"),
        ("pm_nobody_knows", "resource_missing"),
    ],
)
async def test_a_bad_card_is_declined(
    provider: StripeClient, order: Callable[..., Payment], card: str, code: str
) -> None:
    assert await provider.call(ask("authorize", order(card))) == Declined(code)


async def test_a_declined_capture_takes_nothing(
    provider: StripeClient, sandbox: Embedded, order: Callable[..., Payment]
) -> None:
    payment = order("pm_card_sandbox_captureDeclined")
    await hold(provider, payment)

    assert isinstance(await provider.call(ask("capture", payment)), Declined)
    assert await provider.call(ask("void", payment)) == Voided()
    assert (await sandbox.ledger())["totals"]["gbp"]["held"] == 0


async def test_a_voided_authorization_is_never_captured(
    provider: StripeClient, order: Callable[..., Payment]
) -> None:
    payment = order()
    await hold(provider, payment)

    assert await provider.call(ask("void", payment)) == Voided()
    assert await provider.call(ask("capture", payment)) == Declined("canceled")


async def test_a_void_that_comes_too_late_is_a_capture(
    provider: StripeClient, order: Callable[..., Payment]
) -> None:
    payment = order()
    await hold(provider, payment)
    await provider.call(ask("capture", payment))

    assert await provider.call(ask("void", payment)) == Captured(TOTAL)


async def test_the_money_is_refunded_once(
    provider: StripeClient, sandbox: Embedded, order: Callable[..., Payment]
) -> None:
    payment = order()
    await hold(provider, payment)
    await provider.call(ask("capture", payment))

    assert await provider.call(ask("refund", payment)) == Refunded(TOTAL)
    assert await provider.call(ask("refund", payment)) == Refunded(TOTAL)
    (entry,) = (await sandbox.ledger())["payments"]
    assert (entry["refunded"], entry["refunds"]) == (2000, 1)


async def test_a_payment_refunded_by_hand_needs_no_refund(
    provider: StripeClient, sandbox: Embedded, order: Callable[..., Payment]
) -> None:
    payment = order()
    await hold(provider, payment)
    await provider.call(ask("capture", payment))
    client = stripe.AIOHTTPClient(timeout=5)
    by_hand = stripe.StripeClient(KEY, base_addresses={"api": sandbox.url}, http_client=client)
    await by_hand.raw_request_async("post", "/v1/refunds", payment_intent=payment.payment_id)
    await client.close_async()  # type: ignore[no-untyped-call]

    assert await provider.call(ask("refund", payment)) == Refunded(None)
    assert (await sandbox.ledger())["payments"][0]["refunded"] == 2000


LOST = ["captureThenTimeout", "captureThenDisconnect", "authorizeThenTimeout", "authorizeThenDisconnect"]


@pytest.mark.parametrize("fault", LOST)
async def test_a_call_whose_answer_was_lost_is_repeated_without_a_second_effect(
    provider: StripeClient, sandbox: Embedded, order: Callable[..., Payment], fault: str
) -> None:
    payment = order(f"pm_card_sandbox_{fault}")
    lost = 0
    for _ in range(4):
        try:
            if payment.payment_id is None:
                await hold(provider, payment)
            assert await provider.call(ask("capture", payment)) == Captured(TOTAL)
            break
        except stripe.APIConnectionError:
            lost += 1

    assert lost == 1
    ledger = await sandbox.ledger()
    assert (ledger["orders_with_several_intents"], ledger["orders_charged_twice"]) == ({}, {})
    assert [one["captured"] for one in ledger["payments"]] == [2000]


@pytest.mark.parametrize("fault", ["authorizeThenServerError", "captureThenServerError"])
async def test_the_outcome_is_looked_up_after_a_server_error(
    provider: StripeClient, sandbox: Embedded, order: Callable[..., Payment], fault: str
) -> None:
    payment = order(f"pm_card_sandbox_{fault}")
    await hold(provider, payment)
    assert await provider.call(ask("capture", payment)) == Captured(TOTAL)
    assert [one["captured"] for one in (await sandbox.ledger())["payments"]] == [2000]


async def test_a_server_error_without_an_effect_leaves_the_outcome_unknown(
    provider: StripeClient, order: Callable[..., Payment]
) -> None:
    payment = order("pm_card_sandbox_authorizeServerError")

    with pytest.raises(stripe.APIError):
        await hold(provider, payment)
    await hold(provider, payment)


@pytest.mark.parametrize("call", ["cancel", "refund"])
async def test_a_refund_survives_a_lost_answer(
    provider: StripeClient, sandbox: Embedded, order: Callable[..., Payment], call: str
) -> None:
    payment = order(f"pm_card_sandbox_{call}ThenTimeout")
    await hold(provider, payment)
    if call == "refund":
        await provider.call(ask("capture", payment))
    back: Call = "void" if call == "cancel" else "refund"

    with pytest.raises(stripe.APIConnectionError):
        await provider.call(ask(back, payment))
    assert await provider.call(ask(back, payment)) in (Voided(), Refunded(TOTAL))
    sums = (await sandbox.ledger())["totals"]["gbp"]
    assert (sums["held"], sums["captured"] - sums["refunded"]) == (0, 0)


async def test_a_request_that_is_still_running_leaves_the_outcome_unknown(
    sandbox: Embedded, order: Callable[..., Payment]
) -> None:
    patient, other = (client(sandbox.url, stripe_timeout=5) for _ in range(2))
    payment = order("pm_card_sandbox_authorizeSlow")
    try:
        outcomes = await asyncio.gather(
            *(one.call(ask("authorize", payment)) for one in (patient, other)), return_exceptions=True
        )
        assert {type(outcome) for outcome in outcomes} == {Authorized, OutcomeUnknown}
        assert len((await sandbox.ledger())["payments"]) == 1
    finally:
        await patient.aclose()
        await other.aclose()


def late(hours: float) -> Callable[[], datetime]:
    return lambda: NOW + timedelta(hours=hours)


async def test_an_expired_authorization_is_looked_up_and_never_repeated(
    provider: StripeClient, sandbox: Embedded, order: Callable[..., Payment]
) -> None:
    payment = order()
    await hold(provider, payment)
    provider._clock = late(23.5)

    assert await provider.call(ask("authorize", payment)) == Authorized(str(payment.payment_id), TOTAL)
    unheard = order()
    with pytest.raises(OutcomeUnknown):
        await provider.call(ask("authorize", unheard))
    provider._clock = late(25.5)
    assert await provider.call(ask("authorize", unheard)) == Declined("no_answer")
    assert len((await sandbox.ledger())["payments"]) == 1


async def test_an_expired_capture_is_looked_up_before_it_is_repeated(
    provider: StripeClient, sandbox: Embedded, order: Callable[..., Payment]
) -> None:
    payment = order()
    await hold(provider, payment)
    provider._clock = late(23.5)

    assert await provider.call(ask("capture", payment)) == Captured(TOTAL)
    assert await provider.call(ask("capture", payment)) == Captured(TOTAL)
    assert (await sandbox.ledger())["payments"][0]["captured"] == 2000


async def test_an_unreachable_provider_opens_the_circuit(order: Callable[..., Payment]) -> None:
    provider = client("http://127.0.0.1:9", stripe_timeout=1, breaker_failures=3, breaker_reset=60)
    for _ in range(3):
        with pytest.raises(stripe.APIConnectionError):
            await provider.call(ask("authorize", order()))

    with pytest.raises(CircuitOpen):
        await provider.call(ask("authorize", order()))
    await provider.aclose()


async def test_declined_cards_do_not_open_the_circuit(
    provider: StripeClient, order: Callable[..., Payment]
) -> None:
    for _ in range(8):
        await provider.call(ask("authorize", order("pm_card_visa_chargeDeclined")))
    await hold(provider, order())
