"""Events reach the webhook signed, at least once, and as badly as the test wants."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import stripe
from aiohttp import web

from standins.sandbox.embedded import Embedded, embedded
from standins.sandbox.settings import Settings
from tools.standins.tests.integration.sandbox.typed import Connect, Hold, Start

SECRET = "whsec_test"


class Receiver:
    """A webhook endpoint that checks signatures as the SDK does, and fails as often as asked."""

    def __init__(self) -> None:
        self.events: list[stripe.Event] = []
        self.failing = 0
        self.url = ""
        self._changed = asyncio.Condition()

    async def take(self, request: web.Request) -> web.Response:
        event = stripe.Webhook.construct_event(
            await request.read(), request.headers["Stripe-Signature"], SECRET
        )
        if self.failing:
            self.failing -= 1
            return web.Response(status=503)
        async with self._changed:
            self.events.append(event)
            self._changed.notify_all()
        return web.Response()

    async def wait_for(self, count: int) -> list[stripe.Event]:
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: len(self.events) >= count)
        return self.events


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield receiver
    await runner.cleanup()


@pytest.fixture
async def sandbox(start: Start, receiver: Receiver) -> Any:
    return await start(webhook_url=receiver.url, webhook_secret=SECRET)


def kinds(events: list[stripe.Event]) -> list[str]:
    return [event.type for event in events]


async def settled(sandbox: Embedded) -> None:
    async with asyncio.timeout(10):
        while (await sandbox.control("GET", "webhooks"))[1]["pending"]:
            await asyncio.sleep(0.02)


async def test_a_capture_and_its_refund_are_sent_as_events(
    client: stripe.StripeClient, receiver: Receiver, hold: Hold
) -> None:
    held = await hold(client)
    await client.v1.payment_intents.capture_async(held.id)
    await receiver.wait_for(2)
    await client.v1.refunds.create_async({"payment_intent": held.id})
    events = await receiver.wait_for(4)
    assert sorted(kinds(events)) == [
        "charge.refunded",
        "payment_intent.amount_capturable_updated",
        "payment_intent.succeeded",
        "refund.created",
    ]
    sent: Any = {event.type: event.data.object for event in events}
    assert (sent["charge.refunded"]["object"], sent["charge.refunded"]["amount_refunded"]) == ("charge", 1999)
    assert (sent["refund.created"]["object"], sent["refund.created"]["payment_intent"]) == ("refund", held.id)


async def test_later_changes_are_sent_as_events(
    client: stripe.StripeClient, sandbox: Embedded, receiver: Receiver, hold: Hold
) -> None:
    held = await hold(client)
    await client.v1.payment_intents.capture_async(held.id)
    refund = await client.v1.refunds.create_async({"payment_intent": held.id, "amount": 100})
    await sandbox.control("POST", "refunds", {"refund": refund.id, "status": "failed"})
    _, dispute = await sandbox.control("POST", "disputes", {"payment_intent": held.id})
    await sandbox.control("POST", "disputes", {"dispute": dispute["id"], "status": "under_review"})
    await sandbox.control("POST", "disputes", {"dispute": dispute["id"], "status": "won"})
    events = await receiver.wait_for(11)
    assert {kind for kind in kinds(events) if not kind.startswith("payment_intent.")} == {
        "charge.refunded",
        "refund.created",
        "refund.updated",
        "refund.failed",
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_reinstated",
    }
    sent: Any = {event.type: event.data.object for event in events}
    failed = sent["refund.failed"]
    assert (failed["status"], failed["failure_reason"]) == ("failed", "declined")
    closed = sent["charge.dispute.closed"]
    assert (closed["object"], closed["payment_intent"], closed["status"]) == ("dispute", held.id, "won")


async def test_a_decline_and_a_cancellation_are_sent_as_events(
    client: stripe.StripeClient, receiver: Receiver, hold: Hold
) -> None:
    with pytest.raises(stripe.CardError):
        await hold(client, card="pm_card_chargeDeclined")
    await receiver.wait_for(1)
    held = await hold(client, order="order-2")
    await receiver.wait_for(2)
    await client.v1.payment_intents.cancel_async(held.id)
    events = await receiver.wait_for(3)
    assert kinds(events)[::2] == ["payment_intent.payment_failed", "payment_intent.canceled"]


async def test_a_replay_sends_no_second_event(
    client: stripe.StripeClient, sandbox: Embedded, receiver: Receiver, hold: Hold
) -> None:
    await hold(client)
    await hold(client)
    await settled(sandbox)
    assert len(receiver.events) == 1


async def test_events_that_are_not_configured_are_not_sent(
    start: Start, connect: Connect, receiver: Receiver, hold: Hold
) -> None:
    sandbox = await start(
        webhook_url=receiver.url,
        webhook_secret=SECRET,
        webhook_events=frozenset({"payment_intent.succeeded"}),
    )
    client = connect(sandbox)
    held = await hold(client)
    await client.v1.payment_intents.capture_async(held.id)
    await settled(sandbox)
    assert kinds(receiver.events) == ["payment_intent.succeeded"]


async def test_an_event_is_sent_again_until_it_is_accepted(
    client: stripe.StripeClient, sandbox: Embedded, receiver: Receiver, hold: Hold
) -> None:
    receiver.failing = 2
    await hold(client)
    [event] = await receiver.wait_for(1)
    assert event.type == "payment_intent.amount_capturable_updated"
    await settled(sandbox)


async def test_an_event_that_is_never_accepted_is_given_up(
    start: Start, connect: Connect, receiver: Receiver, hold: Hold
) -> None:
    receiver.failing = 1000
    sandbox = await start(webhook_url=receiver.url, webhook_secret=SECRET, webhook_attempts=2)
    await hold(connect(sandbox))
    await settled(sandbox)
    assert receiver.failing == 998


async def test_events_come_twice_on_request(
    client: stripe.StripeClient, sandbox: Embedded, receiver: Receiver, hold: Hold
) -> None:
    await sandbox.control("POST", "webhooks", {"copies": 2})
    await hold(client)
    first, second = await receiver.wait_for(2)
    assert first.id == second.id


async def test_events_come_out_of_order_on_request(
    client: stripe.StripeClient, sandbox: Embedded, receiver: Receiver, hold: Hold
) -> None:
    await sandbox.control("POST", "webhooks", {"reorder": 8, "seed": 3})
    made = [(await hold(client, order=f"order-{number}")).id for number in range(8)]
    sent: list[Any] = [event.data.object for event in await receiver.wait_for(8)]
    assert sorted(one["id"] for one in sent) == sorted(made)
    assert [one["id"] for one in sent] != made


async def test_events_come_late_on_request(
    client: stripe.StripeClient, sandbox: Embedded, receiver: Receiver, hold: Hold
) -> None:
    await sandbox.control("POST", "webhooks", {"delay": 0.5})
    loop = asyncio.get_running_loop()
    begin = loop.time()
    await hold(client)
    await receiver.wait_for(1)
    assert loop.time() - begin >= 0.5


async def test_events_are_lost_on_request(
    client: stripe.StripeClient, sandbox: Embedded, receiver: Receiver, hold: Hold
) -> None:
    await sandbox.control("POST", "webhooks", {"copies": 0})
    await hold(client, order="lost")
    await settled(sandbox)
    await sandbox.control("POST", "webhooks", {})
    held = await hold(client, order="sent")
    sent: list[Any] = [event.data.object for event in await receiver.wait_for(1)]
    assert [one["id"] for one in sent] == [held.id]


async def test_events_that_were_pending_at_a_restart_are_sent_after_it(
    settings: Settings, receiver: Receiver, connect: Connect, hold: Hold
) -> None:
    closed = Settings(
        settings.api_key,
        settings.journal,
        port=0,
        webhook_url="http://127.0.0.1:9/hook",
        webhook_secret=SECRET,
    )
    async with embedded(closed) as sandbox:
        held = await hold(connect(sandbox))
    open_again = Settings(
        settings.api_key, settings.journal, port=0, webhook_url=receiver.url, webhook_secret=SECRET
    )
    async with embedded(open_again) as sandbox:
        [event] = await receiver.wait_for(1)
        sent: Any = event.data.object
        assert (sent["id"], sent["status"]) == (held.id, "requires_capture")
        await settled(sandbox)
    async with embedded(open_again) as sandbox:
        assert (await sandbox.ledger())["webhooks"] == {"pending": 0, "lost": 0}


async def test_the_oldest_event_is_dropped_when_too_many_are_pending(
    start: Start, connect: Connect, hold: Hold
) -> None:
    sandbox = await start(webhook_url="http://127.0.0.1:9/hook", webhook_secret=SECRET, webhook_queue=2)
    for number in range(3):
        await hold(connect(sandbox), order=f"order-{number}")
    assert (await sandbox.ledger())["webhooks"] == {"pending": 2, "lost": 1}


@pytest.mark.parametrize("content", [{"copies": -1}, {"delay": "long"}, {"colour": 1}, {"reorder": True}])
async def test_a_delivery_that_makes_no_sense_is_refused(sandbox: Embedded, content: object) -> None:
    status, problem = await sandbox.control("POST", "webhooks", content)
    assert (status, problem["status"]) == (400, 400)
