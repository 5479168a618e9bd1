"""Events of an order, and a check of every request to the provider."""

from typing import Any

import pytest
import stripe

from contracts import OrderCancelled, OrderCreated, StockReserved
from contracts.testing import order_cancelled, order_created, stock_reserved

from . import stripe_parameters


@pytest.fixture(scope="session")
def created() -> OrderCreated:
    return order_created()


@pytest.fixture(scope="session")
def reserved() -> StockReserved:
    return stock_reserved()


@pytest.fixture(scope="session")
def cancelled() -> OrderCancelled:
    return order_cancelled()


@pytest.fixture(autouse=True)
def every_request_is_well_formed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request to the provider is validated against the SDK's parameters."""
    send: Any = stripe.StripeClient.raw_request_async

    async def check(self: stripe.StripeClient, method: str, path: str, **params: Any) -> Any:
        form = {name: value for name, value in params.items() if name not in stripe_parameters.OPTIONS}
        stripe_parameters.validate(method, path, form)
        return await send(self, method, path, **params)

    monkeypatch.setattr(stripe.StripeClient, "raw_request_async", check)
