"""Events of an order, and a check of every request to the provider."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import stripe

from contracts import Line, Money, OrderCancelled, OrderCreated, StockReserved

from . import typed

ORDER = UUID("0192f0c1-7f3e-7d3a-8f53-3f5a2f6f2a10")
SHOPPER = UUID("5b1f7c1e-8f43-4a53-9a15-0c1df6a5b0aa")
_SNAPSHOT = {
    "order_id": ORDER,
    "shopper_id": SHOPPER,
    "contact": "sealed",
    "lines": (Line(sku="MUG", name="Mug", quantity=2, unit_price=1000),),
    "total": Money(amount=2000, currency="GBP"),
    "number": "K7Q2X-9XMDA",
    "placed_at": datetime(2026, 1, 1, tzinfo=UTC),
    "guest": True,
    "shipping": "sealed too",
}


@pytest.fixture(scope="session")
def created() -> OrderCreated:
    return OrderCreated(
        **_SNAPSHOT, payment_method="pm_card_visa", deadline=datetime.now(UTC) + timedelta(minutes=15)
    )


@pytest.fixture(scope="session")
def reserved() -> StockReserved:
    return StockReserved(order_id=ORDER)


@pytest.fixture(scope="session")
def cancelled() -> OrderCancelled:
    return OrderCancelled(**_SNAPSHOT, reason="shopper", was_paid=False)


@pytest.fixture(autouse=True)
def every_request_is_well_formed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request to the provider is validated against the SDK's parameters."""
    send: Any = stripe.StripeClient.raw_request_async

    async def check(self: stripe.StripeClient, method: str, path: str, **params: Any) -> Any:
        typed.validate(method, path, {name: of for name, of in params.items() if name not in typed.OPTIONS})
        return await send(self, method, path, **params)

    monkeypatch.setattr(stripe.StripeClient, "raw_request_async", check)
