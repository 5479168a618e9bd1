"""In each kind of currency the provider holds, takes and gives back what the order came to, to the unit."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from contracts import CURRENCIES, Money, OrderCreated
from payment import stripe_requests
from payment.domain import Payment
from payment.outcomes import Authorized, Captured, Declined, Refunded
from payment.stripe_client import StripeClient
from standins.sandbox.embedded import Embedded, embedded
from standins.sandbox.settings import Settings

from ..provider import KEY, client

NOW = datetime.now(UTC)
Order = Callable[[int, str], Payment]


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Embedded]:
    async with embedded(Settings(api_key=KEY, journal=tmp_path / "journal", port=0)) as running:
        yield running


@pytest.fixture
async def provider(sandbox: Embedded) -> AsyncIterator[StripeClient]:
    provider = client(sandbox.url, stripe_timeout=2, breaker_failures=1)
    yield provider
    await provider.aclose()


@pytest.fixture
def order(created: OrderCreated) -> Order:
    def place(amount: int, currency: str) -> Payment:
        total = Money(amount=amount, currency=currency)
        one = created.model_copy(update={"order_id": uuid4(), "total": total})
        return Payment(one.order_id, order=one)

    return place


@pytest.mark.parametrize(
    ("amount", "currency", "units"),
    [
        (1999, "GBP", 1999),
        (1999, "JPY", 1999),
        (12_340, "KWD", 12_340),
        (1999, "ISK", 199_900),
        (1999, "UGX", 199_900),
        (199_900, "MGA", 1999),
        (17_545, "HUF", 17_545),
        (80_045, "TWD", 80_045),
    ],
)
async def test_an_amount_survives_authorization_capture_and_refund(
    provider: StripeClient, sandbox: Embedded, order: Order, amount: int, currency: str, units: int
) -> None:
    payment = order(amount, currency)
    total = Money(amount=amount, currency=currency)

    held = await provider.call(stripe_requests.call_intent("authorize", payment, NOW))
    assert isinstance(held, Authorized)
    assert held.held == total
    payment.payment_id = held.payment_id
    assert await provider.call(stripe_requests.call_intent("capture", payment, NOW)) == Captured(total)
    assert await provider.call(stripe_requests.call_intent("refund", payment, NOW)) == Refunded(total)
    [found] = (await sandbox.ledger())["payments"]
    assert [found[name] for name in ("authorized", "captured", "refunded")] == [units] * 3
    assert found["currency"] == currency.lower()


async def test_every_currency_is_accepted_from_its_minimum_to_its_maximum(
    provider: StripeClient, order: Order
) -> None:
    for currency in CURRENCIES.values():
        for amount in (currency.minimum, currency.maximum):
            held = await provider.call(
                stripe_requests.call_intent("authorize", order(amount, currency.code), NOW)
            )
            assert isinstance(held, Authorized), (currency, amount, held)
            assert held.held == Money(amount=amount, currency=currency.code)


async def test_an_amount_that_is_too_small_declines_its_order_and_no_other(
    provider: StripeClient, order: Order
) -> None:
    for _ in range(3):
        outcome = await provider.call(stripe_requests.call_intent("authorize", order(29, "GBP"), NOW))
        assert outcome == Declined("amount_too_small")
    assert isinstance(
        await provider.call(stripe_requests.call_intent("authorize", order(30, "GBP"), NOW)), Authorized
    )
