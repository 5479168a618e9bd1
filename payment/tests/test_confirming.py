"""Whether the shopper has confirmed with her bank is asked of the provider until there is an answer."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from chassis.saga.intents import OutcomePending
from contracts import NOT_CONFIRMED, Money, OrderCreated
from payment import stripe_requests
from payment.domain import Payment
from payment.outcomes import ActionRequired, Authorized, Captured, Declined, Voided
from payment.stripe_client import LATEST, SOONEST, StripeClient
from standins.sandbox.embedded import Embedded, embedded
from standins.sandbox.settings import Settings

KEY = "sk_test_payment"
TOTAL = Money(amount=2000, currency="GBP")
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
    provider = StripeClient(
        KEY,
        base=sandbox.url,
        timeout=2,
        failures=2,
        cipher=lambda url: f"sealed {url}",
        action_time=ACTION_TIME,
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
async def asked(provider: StripeClient, clock: Clock, order: Callable[..., Payment]) -> Payment:
    """A payment whose shopper is asked."""
    payment = order()
    outcome = await provider.call(stripe_requests.call_intent("authorize", payment, clock()))
    assert isinstance(outcome, ActionRequired)
    payment.conclude(outcome, clock())
    return payment


async def test_a_bank_that_asks_names_its_page_and_the_time_there_is(
    asked: Payment, sandbox: Embedded, clock: Clock
) -> None:
    assert asked.action_url is not None
    assert asked.action_url.startswith(f"sealed {sandbox.url}/3d_secure/{asked.payment_id}?client_secret=")
    assert asked.action_expires_at == clock.now + ACTION_TIME


async def test_a_repeated_question_is_the_same_one(
    asked: Payment, provider: StripeClient, clock: Clock
) -> None:
    again = stripe_requests.call_intent("authorize", asked, clock())
    assert await provider.call(again) == ActionRequired(
        str(asked.payment_id), str(asked.action_url), clock.now + ACTION_TIME
    )


async def test_who_cannot_be_sent_to_her_bank_is_declined_and_nothing_is_left_open(
    provider: StripeClient, sandbox: Embedded, clock: Clock, order: Callable[..., Payment]
) -> None:
    intent = stripe_requests.call_intent("authorize", order(return_url=None), clock())
    assert await provider.call(intent) == Declined("authentication_required")
    assert [one["status"] for one in (await sandbox.ledger())["payments"]] == ["requires_payment_method"]


@pytest.mark.parametrize("card", ["pm_card_visa", "pm_card_threeDSecureOptional"])
async def test_who_need_not_be_asked_is_not(
    provider: StripeClient, clock: Clock, order: Callable[..., Payment], card: str
) -> None:
    outcome = await provider.call(stripe_requests.call_intent("authorize", order(card), clock()))
    assert isinstance(outcome, Authorized)


async def test_it_is_pending_until_she_confirms(
    asked: Payment, provider: StripeClient, sandbox: Embedded, clock: Clock
) -> None:
    intent = stripe_requests.call_intent("confirm", asked, clock())
    with pytest.raises(OutcomePending, match="may confirm until"):
        await provider.call(intent)
    await sandbox.authenticate(str(asked.payment_id), "succeeded")
    assert await provider.call(intent) == Authorized(str(asked.payment_id), TOTAL)
    asked.conclude(Authorized(str(asked.payment_id), TOTAL), clock())
    assert await provider.call(stripe_requests.call_intent("capture", asked, clock())) == Captured(TOTAL)


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
    asked = await provider.call(stripe_requests.call_intent("authorize", payment, clock()))
    assert isinstance(asked, ActionRequired)
    payment.conclude(asked, clock())
    await sandbox.authenticate(str(payment.payment_id), outcome)
    assert await provider.call(stripe_requests.call_intent("confirm", payment, clock())) == Declined(code)
    assert await provider.call(stripe_requests.call_intent("void", payment, clock())) == Voided(held=False)


async def test_who_has_not_confirmed_in_time_is_declined(
    asked: Payment, provider: StripeClient, sandbox: Embedded, clock: Clock
) -> None:
    intent = stripe_requests.call_intent("confirm", asked, clock())
    clock.now += ACTION_TIME
    assert await provider.call(intent) == Declined(NOT_CONFIRMED)
    await sandbox.authenticate(str(asked.payment_id), "succeeded")
    assert isinstance(await provider.call(intent), Authorized), "what she has confirmed late is seen as it is"
    assert await provider.call(stripe_requests.call_intent("void", asked, clock())) == Voided(held=True)


async def test_what_was_never_confirmed_is_voided_without_having_been_held(
    asked: Payment, provider: StripeClient, clock: Clock
) -> None:
    void = stripe_requests.call_intent("void", asked, clock())
    assert await provider.call(void) == Voided(held=False)
    assert await provider.call(stripe_requests.call_intent("confirm", asked, clock())) == Declined("canceled")
    clock.now += timedelta(hours=23.5)
    assert await provider.call(void) == Voided(held=False), "looked up, once its key is forgotten"


async def test_she_is_asked_about_again_after_a_share_of_the_time_that_she_takes(
    asked: Payment, provider: StripeClient, clock: Clock
) -> None:
    intent, pauses = stripe_requests.call_intent("confirm", asked, clock()), []
    for seconds in (0, 40, 300, 259):
        clock.now += timedelta(seconds=seconds)
        with pytest.raises(OutcomePending) as pending:
            await provider.call(intent)
        pauses.append(pending.value.again_in)
    assert pauses == [SOONEST, 5, LATEST, SOONEST], "and not later than when her time is up"


async def test_waiting_for_her_is_no_trouble_with_the_provider(
    asked: Payment, provider: StripeClient, clock: Clock, order: Callable[..., Payment]
) -> None:
    intent = stripe_requests.call_intent("confirm", asked, clock())
    for _ in range(5):
        with pytest.raises(OutcomePending):
            await provider.call(intent)
    assert provider._circuit.state == "closed"
    outcome = await provider.call(stripe_requests.call_intent("authorize", order("pm_card_visa"), clock()))
    assert isinstance(outcome, Authorized)
