"""The whole service on a real broker: it publishes orders, consumes their outcome, and streams it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel

from chassis.saga.topology import EVENTS_EXCHANGE, definitions
from chassis.storage.outbox import envelope
from contracts import Event, PaymentDeclined
from order.saga import participant

Start = Callable[..., Awaitable[Any]]


@pytest.fixture
async def running(rabbitmq: Any, start: Start) -> Any:
    """The service in both roles, as the broker's user `order`."""
    await rabbitmq.import_topology(definitions([participant]))
    return await start(role="all", amqp_url=rabbitmq.url_of("order"), watch_every=0.1)


@pytest.fixture
async def channel(rabbitmq: Any) -> AsyncIterator[AbstractChannel]:
    connection = await aio_pika.connect(rabbitmq.url, timeout=10)
    async with connection:
        yield await connection.channel()


async def publish(channel: AbstractChannel, order: Any, *events: Event) -> None:
    """As the service that publishes it does."""
    exchange = await channel.get_exchange(EVENTS_EXCHANGE, ensure=False)
    now = await order.database.fetchval("SELECT now()")
    for event in events:
        message = envelope(event, event.publisher, now, f"order.created/{event.subject}", None).to_message()
        await exchange.publish(message, routing_key=event.type, mandatory=True)


async def streamed(order: Any, order_id: UUID, headers: dict[str, str]) -> list[Any]:
    """The events of a stream until it ends."""
    url = f"/v1/orders/{order_id}/events"
    async with asyncio.timeout(30), order.http.stream("GET", url, headers=headers) as answer:
        return [json.loads(line[6:]) async for line in answer.aiter_lines() if line.startswith("data:")]


async def until_published(order: Any) -> None:
    """Wait until everything is published."""
    async with asyncio.timeout(10):
        while await order.count("outbox"):
            await asyncio.sleep(0.01)


async def test_an_order_is_placed_paid_and_watched(
    running: Any, channel: AbstractChannel, shopper: UUID, bearer: Any, paid: Any
) -> None:
    listening = await channel.declare_queue(exclusive=True)
    await listening.bind(EVENTS_EXCHANGE, "order.*")
    order_id = await running.placed(shopper)
    async with listening.iterator(timeout=20) as messages:
        message = await anext(messages)
        assert (message.type, json.loads(message.body)["order_id"]) == ("order.created", str(order_id))
    await publish(channel, running, paid(order_id), paid(order_id))
    events = await streamed(running, order_id, bearer(shopper))
    assert {one["type"]: one["said_by"] for one in events if "type" in one} == {
        "order.created": "order",
        "order.paid": "payment",
    }
    assert events[-1]["status"] == "paid"
    await until_published(running)


async def test_a_declined_order_is_cancelled_with_the_reason(
    running: Any, channel: AbstractChannel, shopper: UUID, bearer: Any
) -> None:
    order_id = await running.placed(shopper)
    await publish(
        channel, running, PaymentDeclined(order_id=order_id, code="x", decline_reason="card_expired")
    )
    events = {
        one.get("type", one.get("status")): one for one in await streamed(running, order_id, bearer(shopper))
    }
    assert events["payment.declined"]["data"] == {"code": "x", "decline_reason": "card_expired"}
    assert events["order.cancelled"]["causation_id"] == f"payment.declined/{order_id}"
    assert events["cancelled"]["reason"] == "payment_declined"
    view = (await running.get(f"/v1/orders/{order_id}", shopper)).json()
    assert view["decline_reason"] == "card_expired"


async def test_an_order_expires_without_a_request(
    rabbitmq: Any, start: Start, shopper: UUID, bearer: Any
) -> None:
    await rabbitmq.import_topology(definitions([participant]))
    order = await start(role="all", amqp_url=rabbitmq.url_of("order"), order_deadline=0.5, sweep_every=0.2)
    order_id = await order.placed(shopper)
    *_, last = await streamed(order, order_id, bearer(shopper))
    assert (last["status"], last["reason"]) == ("cancelled", "expired")


async def test_a_stream_sends_what_another_process_consumed(
    rabbitmq: Any, start: Start, channel: AbstractChannel, shopper: UUID, bearer: Any, paid: Any
) -> None:
    await rabbitmq.import_topology(definitions([participant]))
    api = await start()
    await start(role="worker", amqp_url=rabbitmq.url_of("order"), outbox_poll=0.1)
    order_id = await api.placed(shopper)
    reading = asyncio.create_task(streamed(api, order_id, bearer(shopper)))
    await until_published(api)  # the order is published before its payment
    await publish(channel, api, paid(order_id))
    types = [one["type"] for one in await reading if "type" in one]
    assert sorted(types) == ["order.created", "order.paid"]
