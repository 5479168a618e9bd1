"""The shopper's confirmation with her bank is looked up until its outcome is known."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from chassis.saga.intents import OutcomePending
from contracts import NOT_CONFIRMED, OrderCreated
from contracts.testing import TOTAL
from payment import stripe_requests
from payment.domain import Payment
from payment.outcomes import ActionRequired, Authorized, Captured, Declined, Voided, conclude
from payment.stripe_client import LATEST, SOONEST, StripeClient
from standins.sandbox.embedded import Embedded, embedded
from standins.sandbox.settings import Settings

from ..provider import KEY, client

ACTION_TIME = timedelta(minutes=10)


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Embedded]:
    async with embedded(Settings(api_key=KEY, journal=tmp_path / "journal", port=0, hang=30)) as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def provider(sandbox: Embedded, clock: Clock) -> AsyncIterator[StripeClient]:
    provider = client(
        sandbox.url,
        stripe_timeout=2,
        breaker_failures=2,
        encrypt=lambda url: f"encrypted {url}",
        action_minutes=ACTION_TIME.total_seconds() / 60,
        clock=clock,
    )
    yield provider
    await provider.aclose()


@pytest.fixture
def order(created: OrderCreated) -> Callable[..., Payment]:
    def place(
        card: str = "pm_card_authenticationRequired", return_url: str | None = "https://shop.example/back"
    ) -> Payment:
        new: dict[str, Any] = {"order_id": uuid4(), "payment_method": card, "return_url": return_url}
        order = created.model_copy(update=new)
        payment = Payment(order.order_id)
        payment.authorize(order)
        return payment

    return place


@pytest.fixture
async def waiting(provider: StripeClient, clock: Clock, order: Callable[..., Payment]) -> Payment:
    """A payment that waits for the shopper's confirmation."""
    payment = order()
    outcome = await provider.call(stripe_requests.call_intent("authorize", payment, clock()))
    assert isinstance(outcome, ActionRequired)
    conclude(payment, outcome, clock())
    return payment


async def test_action_required_has_the_banks_page_and_the_expiry(
    waiting: Payment, sandbox: Embedded, clock: Clock
) -> None:
    assert waiting.action_url is not None
    assert waiting.action_url.startswith(
        f"encrypted {sandbox.url}/3d_secure/{waiting.payment_id}?client_secret="
    )
    assert waiting.action_expires_at == clock.now + ACTION_TIME


async def test_a_repeated_action_required_is_identical(
    waiting: Payment, provider: StripeClient, clock: Clock
) -> None:
    again = stripe_requests.call_intent("authorize", waiting, clock())
    assert await provider.call(again) == ActionRequired(
        str(waiting.payment_id), str(waiting.action_url), clock.now + ACTION_TIME
    )


async def test_a_shopper_without_return_url_is_declined_and_nothing_stays_open(
    provider: StripeClient, sandbox: Embedded, clock: Clock, order: Callable[..., Payment]
) -> None:
    intent = stripe_requests.call_intent("authorize", order(return_url=None), clock())
    assert await provider.call(intent) == Declined("authentication_required")
    assert [one["status"] for one in (await sandbox.ledger())["payments"]] == ["requires_payment_method"]


@pytest.mark.parametrize("card", ["pm_card_visa", "pm_card_threeDSecureOptional"])
async def test_a_card_without_challenge_is_authorized_at_once(
    provider: StripeClient, clock: Clock, order: Callable[..., Payment], card: str
) -> None:
    outcome = await provider.call(stripe_requests.call_intent("authorize", order(card), clock()))
    assert isinstance(outcome, Authorized)


async def test_the_outcome_is_pending_until_the_shopper_confirms(
    waiting: Payment, provider: StripeClient, sandbox: Embedded, clock: Clock
) -> None:
    intent = stripe_requests.call_intent("confirm", waiting, clock())
    with pytest.raises(OutcomePending, match="may confirm until"):
        await provider.call(intent)
    await sandbox.authenticate(str(waiting.payment_id), "succeeded")
    assert await provider.call(intent) == Authorized(str(waiting.payment_id), TOTAL)
    conclude(waiting, Authorized(str(waiting.payment_id), TOTAL), clock())
    assert await provider.call(stripe_requests.call_intent("capture", waiting, clock())) == Captured(TOTAL)


@pytest.mark.parametrize(
    ("card", "outcome", "code"),
    [
        ("authenticationRequired", "failed", "payment_intent_authentication_failure"),
        ("threeDSecureRequiredChargeDeclined", "succeeded", "generic_decline"),
    ],
)
async def test_a_failed_challenge_and_a_decline_after_it_are_declines(
    provider: StripeClient,
    sandbox: Embedded,
    clock: Clock,
    order: Callable[..., Payment],
    card: str,
    outcome: str,
    code: str,
) -> None:
    payment = order(f"pm_card_{card}")
    waiting = await provider.call(stripe_requests.call_intent("authorize", payment, clock()))
    assert isinstance(waiting, ActionRequired)
    conclude(payment, waiting, clock())
    await sandbox.authenticate(str(payment.payment_id), outcome)
    assert await provider.call(stripe_requests.call_intent("confirm", payment, clock())) == Declined(code)
    assert await provider.call(stripe_requests.call_intent("void", payment, clock())) == Voided(held=False)


async def test_a_confirmation_that_expires_declines(
    waiting: Payment, provider: StripeClient, sandbox: Embedded, clock: Clock
) -> None:
    intent = stripe_requests.call_intent("confirm", waiting, clock())
    clock.now += ACTION_TIME
    assert await provider.call(intent) == Declined(NOT_CONFIRMED)
    await sandbox.authenticate(str(waiting.payment_id), "succeeded")
    assert isinstance(await provider.call(intent), Authorized), (
        "a late confirmation counts, if the look finds it"
    )
    assert await provider.call(stripe_requests.call_intent("void", waiting, clock())) == Voided(held=True)


async def test_an_unconfirmed_payment_is_voided_as_never_held(
    waiting: Payment, provider: StripeClient, clock: Clock
) -> None:
    void = stripe_requests.call_intent("void", waiting, clock())
    assert await provider.call(void) == Voided(held=False)
    assert await provider.call(stripe_requests.call_intent("confirm", waiting, clock())) == Declined(
        "canceled"
    )
    clock.now += timedelta(hours=23.5)
    assert await provider.call(void) == Voided(held=False), "looked up, once its key is forgotten"


async def test_the_confirmation_is_looked_up_after_a_share_of_the_time_taken(
    waiting: Payment, provider: StripeClient, clock: Clock
) -> None:
    intent, pauses = stripe_requests.call_intent("confirm", waiting, clock()), []
    for seconds in (0, 40, 300, 259):
        clock.now += timedelta(seconds=seconds)
        with pytest.raises(OutcomePending) as pending:
            await provider.call(intent)
        pauses.append(pending.value.again_in)
    assert pauses == [SOONEST, 5, LATEST, SOONEST], "and not later than when her time is up"


async def test_a_pending_confirmation_does_not_open_the_circuit(
    waiting: Payment, provider: StripeClient, clock: Clock, order: Callable[..., Payment]
) -> None:
    intent = stripe_requests.call_intent("confirm", waiting, clock())
    for _ in range(5):
        with pytest.raises(OutcomePending):
            await provider.call(intent)
    assert provider._circuit.state == "closed"
    outcome = await provider.call(stripe_requests.call_intent("authorize", order("pm_card_visa"), clock()))
    assert isinstance(outcome, Authorized)
