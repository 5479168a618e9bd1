"""What Stripe refuses although no card is the cause: the outcome stays unknown, and the circuit opens."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from chassis.outbound import CircuitOpen
from contracts import OrderCreated
from contracts.testing import TOTAL
from payment import stripe_requests
from payment.domain import Payment
from payment.outcomes import Authorized, Declined, Refunded
from payment.stripe_answers import RequestRefused
from payment.stripe_client import StripeClient
from standins.sandbox.embedded import Embedded, embedded
from standins.sandbox.settings import Settings

from ..provider import KEY, client

NOW = datetime.now(UTC)


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Embedded]:
    async with embedded(Settings(api_key=KEY, journal=tmp_path / "journal", port=0)) as running:
        yield running


@pytest.fixture
async def provider(sandbox: Embedded) -> AsyncIterator[StripeClient]:
    provider = client(sandbox.url, stripe_timeout=2, breaker_failures=3, breaker_reset=60)
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
    provider = client(sandbox.url, stripe_timeout=2, breaker_failures=3, breaker_reset=0)
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
    provider = client(sandbox.url, "sk_test_another", stripe_timeout=2, breaker_failures=3, breaker_reset=60)
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
