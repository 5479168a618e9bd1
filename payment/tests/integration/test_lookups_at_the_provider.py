"""What a lookup finds at the provider."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from chassis.saga.tx import Intent
from contracts import Money, OrderCreated
from contracts.testing import TOTAL
from payment import stripe_requests
from payment.domain import Payment
from payment.lookups import Found
from payment.outcomes import Authorized
from payment.stripe_client import StripeClient
from standins.sandbox.embedded import Embedded, embedded
from standins.sandbox.settings import Settings

from ..provider import KEY, client

NOW = datetime.now(UTC)
NOTHING = Money(amount=0, currency="GBP")


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Embedded]:
    async with embedded(Settings(api_key=KEY, journal=tmp_path / "journal", port=0)) as running:
        yield running


@pytest.fixture
async def provider(sandbox: Embedded) -> AsyncIterator[StripeClient]:
    provider = client(sandbox.url, stripe_timeout=2)
    yield provider
    await provider.aclose()


@pytest.fixture
async def payment(provider: StripeClient, created: OrderCreated) -> Payment:
    """One that was taken."""
    order = created.model_copy(update={"order_id": uuid4()})
    payment = Payment(order.order_id, order=order)
    held = await provider.call(stripe_requests.call_intent("authorize", payment, NOW))
    assert isinstance(held, Authorized)
    payment.payment_id = held.payment_id
    await provider.call(stripe_requests.call_intent("capture", payment, NOW))
    return payment


def look_up(payment: Payment) -> Intent:
    return stripe_requests.call_intent("look", payment, NOW)


async def test_a_lookup_finds_refunds_and_disputes_at_the_provider(
    provider: StripeClient, sandbox: Embedded, payment: Payment
) -> None:
    await sandbox.control("POST", "disputes", {"payment_intent": payment.payment_id})
    await provider._stripe.raw_request_async(
        "post", "/v1/refunds", payment_intent=payment.payment_id, amount=300
    )

    found = await provider.call(look_up(payment))
    assert isinstance(found, Found)
    assert (found.status, found.taken, found.order_id) == ("succeeded", TOTAL, str(payment.order_id))
    (refund,) = found.refunds
    assert (refund.amount, refund.status, refund.order_id) == (
        Money(amount=300, currency="GBP"),
        "succeeded",
        None,
    )
    (dispute,) = found.disputes
    assert (dispute.reason, dispute.status, dispute.amount) == ("fraudulent", "needs_response", TOTAL)
    assert dispute.due_by is not None


async def test_a_void_is_no_refund_although_the_provider_records_one(
    provider: StripeClient, sandbox: Embedded, created: OrderCreated
) -> None:
    order = created.model_copy(update={"order_id": uuid4()})
    payment = Payment(order.order_id, order=order)
    held = await provider.call(stripe_requests.call_intent("authorize", payment, NOW))
    assert isinstance(held, Authorized)
    payment.payment_id = held.payment_id
    await sandbox.control("POST", "expirations", {"payment_intent": payment.payment_id})

    found = await provider.call(look_up(payment))
    assert isinstance(found, Found)
    assert (found.status, found.taken, found.refunds) == ("canceled", NOTHING, ())
