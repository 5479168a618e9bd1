"""A sandbox, really started, and the provider's own SDK talking to it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import stripe

from standins.sandbox.embedded import Embedded, embedded
from standins.sandbox.settings import Settings
from tools.standins.tests.integration.sandbox.typed import KEY, Connect, Hold, Start


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(api_key=KEY, journal=tmp_path / "journal", port=0, slow=0.3, hang=30)


@pytest.fixture
async def start(settings: Settings) -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def begin(*clock: Callable[[], float], **changes: Any) -> Embedded:
            return await stack.enter_async_context(embedded(replace(settings, **changes), *clock))

        yield begin


@pytest.fixture
async def sandbox(start: Start) -> Embedded:
    return await start()


@pytest.fixture
def connect() -> Connect:
    def client(sandbox: Embedded | str, timeout: float = 5, key: str = KEY) -> stripe.StripeClient:
        url = sandbox if isinstance(sandbox, str) else sandbox.url
        http = stripe.HTTPXClient(timeout=timeout, verify_ssl_certs=False)
        return stripe.StripeClient(key, base_addresses={"api": url}, http_client=http, max_network_retries=0)

    return client


@pytest.fixture
def client(sandbox: Embedded, connect: Connect) -> stripe.StripeClient:
    return connect(sandbox)


@pytest.fixture
def hold() -> Hold:
    async def authorize(
        client: stripe.StripeClient, order: str = "order-1", card: str = "pm_card_visa", **changes: Any
    ) -> stripe.PaymentIntent:
        params: Any = {
            "amount": 1999,
            "currency": "eur",
            "capture_method": "manual",
            "confirm": True,
            "payment_method": card,
            "allowed_payment_method_types": ["card"],
            "metadata": {"order_id": order},
        }
        return await client.v1.payment_intents.create_async(
            params | changes, {"idempotency_key": f"authorize:{order}"}
        )

    return authorize
