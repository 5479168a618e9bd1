"""The whole service with a real broker, a real database and the sandbox, whose ledger is compared."""

import asyncio
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aio_pika
import pytest
import uvicorn
from cryptography.fernet import Fernet

from chassis.saga.topology import EVENTS_EXCHANGE, definitions
from chassis.storage.outbox import envelope
from contracts import Event, OrderCancelled, OrderCreated, StockReserved
from contracts.testing import stock_reserved
from devstack.testing.broker import Broker
from payment.main import service
from payment.saga import participant
from payment.settings import Settings
from standins.sandbox.embedded import Embedded, embedded
from standins.sandbox.settings import Settings as SandboxSettings

KEY, SECRET = "sk_test_payment", "whsec_payment"
ACTION_KEY = Fernet.generate_key().decode()


@dataclass
class Shop:
    """Payment's surroundings: the broker, from which it consumes and to which it publishes, and the
    provider."""

    exchange: aio_pika.abc.AbstractExchange
    onlooker: aio_pika.abc.AbstractQueue
    sandbox: Embedded
    environment: dict[str, str]
    port: int

    async def publish(self, *events: Event) -> None:
        for event in events:
            message = envelope(event, "other-service", datetime.now(UTC), None, None).to_message()
            await self.exchange.publish(message, event.type)

    async def published_up_to(self, last: str) -> list[str]:
        """The types of the events that payment has published, up to and including `last`."""
        types: list[str] = []
        async with asyncio.timeout(30):
            while last not in types:
                if (message := await self.onlooker.get(fail=False)) is None:
                    await asyncio.sleep(0.02)
                    continue
                await message.ack()
                types.append(str(message.type))
        return types

    async def entry(self, order_id: UUID) -> dict[str, Any]:
        """The one payment of that order in the provider's ledger."""
        ledger = await self.sandbox.ledger(str(order_id))
        assert ledger["balanced"]
        (payment,) = ledger["payments"]
        return dict(payment)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Payment, in this process."""
        settings = Settings.model_validate({name.lower(): v for name, v in self.environment.items()})
        config = uvicorn.Config(service.app(settings), port=self.port, log_config=None, access_log=False)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        async with asyncio.timeout(20):
            while not server.started:
                assert not serving.done(), "payment did not start"
                await asyncio.sleep(0.01)
        yield
        server.should_exit = True
        await serving

    @asynccontextmanager
    async def process(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """Payment as a process of its own, which may be killed."""
        serve = Path(sys.executable).with_name("serve")
        process = await asyncio.create_subprocess_exec(
            serve, "payment.main", env=os.environ | self.environment
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


@pytest.fixture
async def shop(migrated: Callable[[str], str], rabbitmq: Broker, tmp_path: Path) -> AsyncIterator[Shop]:
    await rabbitmq.import_topology(definitions([participant]))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    sandbox_settings = SandboxSettings(
        api_key=KEY,
        journal=tmp_path / "journal",
        port=0,
        hang=30,
        webhook_url=f"http://127.0.0.1:{port}/v1/webhooks/stripe",
        webhook_secret=SECRET,
    )
    connection = await aio_pika.connect(rabbitmq.url)
    async with embedded(sandbox_settings) as sandbox, connection:
        channel = await connection.channel()
        onlooker = await channel.declare_queue("onlooker", auto_delete=True)
        for key in participant.published_keys():
            await onlooker.bind(EVENTS_EXCHANGE, key)
        environment = {
            "PORT": str(port),
            "DATABASE_URL": migrated("payment"),
            "AMQP_URL": rabbitmq.url_of("payment"),
            "JWKS_URL": "http://127.0.0.1:1/",
            "TOKEN_ISSUER": "tests",
            "TOKEN_AUDIENCE": "tests",
            "STRIPE_API_KEY": KEY,
            "STRIPE_API_BASE": sandbox.url,
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "ACTION_KEY": ACTION_KEY,
            "STRIPE_TIMEOUT": "1",
            "LEASE": "6",
            "OUTBOX_POLL": "0.1",
        }
        exchange = await channel.get_exchange(EVENTS_EXCHANGE)
        yield Shop(exchange, onlooker, sandbox, environment, port)


@pytest.fixture
def order(created: OrderCreated) -> Callable[..., OrderCreated]:
    def place(card: str = "pm_card_visa") -> OrderCreated:
        return created.model_copy(update={"order_id": uuid4(), "payment_method": card})

    return place


def reserved(order: OrderCreated) -> StockReserved:
    return stock_reserved(order_id=order.order_id)


def cancelled(order: OrderCreated) -> OrderCancelled:
    snapshot = order.model_dump(exclude={"payment_method", "deadline", "return_url"})
    return OrderCancelled(**snapshot, reason="shopper", was_paid=False)


FOUL = ["captureThenTimeout", "captureThenServerError", "authorizeThenServerError", "authorizeThenTimeout"]


@pytest.mark.parametrize("card", ["pm_card_visa", *(f"pm_card_sandbox_{fault}" for fault in FOUL)])
async def test_an_order_is_paid_once_whatever_fails_at_the_provider(
    shop: Shop, order: Callable[..., OrderCreated], card: str
) -> None:
    placed = order(card)
    async with shop.open():
        await shop.publish(placed, reserved(placed))

        assert await shop.published_up_to("order.paid") == ["payment.authorized", "order.paid"]
    assert (await shop.entry(placed.order_id))["captured"] == 2000


async def test_a_declined_card_is_published(shop: Shop, order: Callable[..., OrderCreated]) -> None:
    placed = order("pm_card_visa_chargeDeclinedInsufficientFunds")
    async with shop.open():
        await shop.publish(reserved(placed), placed)

        assert await shop.published_up_to("payment.declined") == ["payment.declined"]
    assert (await shop.entry(placed.order_id))["captured"] == 0


@pytest.mark.parametrize("webhooks", [{}, {"copies": 3, "reorder": 4}, {"delay": 600}])
async def test_a_confirmed_payment_is_captured_even_if_webhooks_are_lost(
    shop: Shop, order: Callable[..., OrderCreated], webhooks: dict[str, int]
) -> None:
    await shop.sandbox.control("POST", "webhooks", webhooks)
    placed = order("pm_card_authenticationRequired").model_copy(update={"return_url": "https://shop.example"})
    async with shop.open():
        await shop.publish(placed, reserved(placed))
        assert await shop.published_up_to("payment.action_required") == ["payment.action_required"]
        asked = await shop.entry(placed.order_id)
        assert (asked["status"], asked["authorized"]) == ("requires_action", 0)
        await shop.sandbox.authenticate(asked["id"], "succeeded")

        assert await shop.published_up_to("order.paid") == ["payment.authorized", "order.paid"]
    entry = await shop.entry(placed.order_id)
    assert (entry["captured"], entry["charges"]) == (2000, 1)


async def test_redelivered_events_change_nothing(shop: Shop, order: Callable[..., OrderCreated]) -> None:
    await shop.sandbox.control("POST", "webhooks", {"copies": 3, "reorder": 4})
    orders = [order() for _ in range(10)]
    types: Counter[str] = Counter()
    async with shop.open():
        for placed in orders:
            await shop.publish(*(reserved(placed), placed) * 3)
        while types["order.paid"] < len(orders):
            types.update(await shop.published_up_to("order.paid"))

    assert types == Counter({"payment.authorized": 10, "order.paid": 10})
    for placed in orders:
        entry = await shop.entry(placed.order_id)
        assert (entry["captured"], entry["charges"]) == (2000, 1)


@pytest.mark.parametrize("card", ["pm_card_visa", "pm_card_sandbox_refundThenTimeout"])
async def test_a_paid_order_that_is_cancelled_is_refunded_once(
    shop: Shop, order: Callable[..., OrderCreated], card: str
) -> None:
    placed = order(card)
    async with shop.open():
        await shop.publish(placed, reserved(placed))
        await shop.published_up_to("order.paid")
        await shop.publish(cancelled(placed))

        assert await shop.published_up_to("payment.refunded") == ["payment.refunded"]
    entry = await shop.entry(placed.order_id)
    assert (entry["captured"], entry["refunded"], entry["refunds"]) == (2000, 2000, 1)


async def test_an_order_cancelled_while_its_capture_is_unknown_is_not_published_as_paid(
    shop: Shop, order: Callable[..., OrderCreated]
) -> None:
    placed = order("pm_card_sandbox_captureThenTimeout")
    async with shop.open():
        await shop.publish(placed, reserved(placed))
        await shop.published_up_to("payment.authorized")
        async with asyncio.timeout(10):
            while not (await shop.entry(placed.order_id))["captured"]:
                await asyncio.sleep(0.02)
        await shop.publish(cancelled(placed))

        assert await shop.published_up_to("payment.refunded") == ["payment.refunded"]
    entry = await shop.entry(placed.order_id)
    assert (entry["captured"], entry["refunded"]) == (2000, 2000)


async def test_a_cancelled_order_is_never_charged(shop: Shop, order: Callable[..., OrderCreated]) -> None:
    refused, held = order(), order()
    async with shop.open():
        await shop.publish(cancelled(refused), held, refused, reserved(refused))
        await shop.published_up_to("payment.authorized")
        await shop.publish(cancelled(held), reserved(held))

        assert await shop.published_up_to("payment.voided") == ["payment.voided"]
    assert (await shop.sandbox.ledger(str(refused.order_id)))["payments"] == []
    entry = await shop.entry(held.order_id)
    assert (entry["status"], entry["captured"]) == ("canceled", 0)


async def test_a_crash_during_the_capture_captures_once(
    shop: Shop, order: Callable[..., OrderCreated]
) -> None:
    placed = order("pm_card_sandbox_captureThenTimeout")
    async with shop.process() as process:
        await shop.publish(placed, reserved(placed))
        async with asyncio.timeout(30):
            while (
                "authorized" not in str(await shop.sandbox.ledger(str(placed.order_id)))
                or not (await shop.entry(placed.order_id))["captured"]
            ):
                await asyncio.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    async with shop.process():
        assert "order.paid" in await shop.published_up_to("order.paid")
    entry = await shop.entry(placed.order_id)
    assert (entry["captured"], entry["charges"]) == (2000, 1)
