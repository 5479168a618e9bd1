"""The seller on a real PostgreSQL and a real RabbitMQ."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.messaging.envelope import Envelope
from chassis.runtime.settings import ServiceSettings
from chassis.runtime.worker import Worker
from chassis.saga.intents import Call
from chassis.saga.topology import EVENTS_EXCHANGE, Participant, definitions
from chassis.storage.database import Transactions, connect
from chassis.storage.outbox import envelope
from devstack.testing.broker import Broker

from ..things import ThingMade, metadata, selling


@dataclass
class Recorder:
    """In place of a relay or a runner: keeps what it is given after each commit."""

    room: bool = True
    given: list[list[Any]] = field(default_factory=list)
    unleased: int = 0

    def has_room(self) -> bool:
        return self.room

    def wake(self, committed: list[Any]) -> None:
        self.given.append(committed)

    def note_unleased(self) -> None:
        self.unleased += 1


@dataclass
class World:
    """The seller's database and broker; the queue `onlooker` gets the events that it publishes."""

    engine: AsyncEngine
    broker: Broker
    settings: ServiceSettings
    channel: aio_pika.abc.AbstractChannel
    onlooker: aio_pika.abc.AbstractQueue
    participant: Participant = field(default_factory=selling)
    engines: list[AsyncEngine] = field(default_factory=list)
    _running: list[Worker] = field(default_factory=list)

    def transactions(self, *, lease: float | None = None) -> Transactions:
        return Transactions(self.engine, "seller", lease=self.settings.lease if lease is None else lease)

    def transactions_of_a_service(self) -> Transactions:
        """Transactions with the default timeouts of a service."""
        limits = {
            name: ServiceSettings.model_fields[name].default for name in ("statement_timeout", "lock_timeout")
        }
        self.engines.append(connect(self.settings.database_url, pool_size=5, **limits))
        return Transactions(self.engines[-1], "seller", lease=self.settings.lease)

    async def start(self, *, transactions: Transactions | None = None, call: Call | None = None) -> Worker:
        worker = Worker(self.participant, self.settings, transactions or self.transactions(), call, ())
        self._running.append(worker)
        await worker.start()
        return worker

    async def stop(self) -> None:
        while self._running:
            await self._running.pop().stop()
        while self.engines:
            await self.engines.pop().dispose()

    async def publish(self, *events: ThingMade) -> None:
        """Publish as another service would."""
        exchange = await self.channel.get_exchange(EVENTS_EXCHANGE, ensure=False)
        for event in events:
            await exchange.publish(enveloped(event).to_message(), event.type)

    async def sold(self, count: int = 1) -> list[str]:
        """Ids of the next `count` messages in the onlooker's queue."""
        return [(await self.next(self.onlooker)).message_id or "" for _ in range(count)]

    async def next(self, queue: aio_pika.abc.AbstractQueue | str) -> AbstractIncomingMessage:
        if isinstance(queue, str):
            queue = await self.channel.declare_queue(queue, passive=True)
        async with asyncio.timeout(30):
            while (message := await queue.get(fail=False)) is None:
                await asyncio.sleep(0.02)
        await message.ack()
        return message

    async def times(self, id_: UUID) -> int | None:
        async with self.engine.connect() as connection:
            found = await connection.execute(text("SELECT times FROM sale WHERE id = :id"), {"id": id_})
            times: int | None = found.scalar()
            return times

    async def count(self, table: str) -> int:
        async with self.engine.connect() as connection:
            counted = await connection.execute(text(f"SELECT count(*) FROM {table}"))
            return int(counted.scalar_one())

    async def eventually(self, condition: Callable[[], Any]) -> None:
        """Wait until an awaited condition holds."""
        async with asyncio.timeout(30):
            while not await condition():
                await asyncio.sleep(0.02)


def enveloped(event: ThingMade) -> Envelope:
    return envelope(event, "maker", datetime.now(UTC), None, None)


@pytest.fixture
async def world(postgres: str, rabbitmq: Broker) -> AsyncIterator[World]:
    topology = definitions([selling()])
    for policy in topology["policies"]:
        if "message-ttl" in policy["definition"]:
            policy["definition"]["message-ttl"] = 20
    await rabbitmq.import_topology(topology)
    settings = ServiceSettings(
        database_url=postgres,
        amqp_url=rabbitmq.url,
        jwks_url="http://127.0.0.1/",
        token_issuer="tests",
        token_audience="tests",
        consume_linger=0.005,
        publish_linger=0.005,
        outbox_poll=0.05,
        shutdown_grace=5,
    )
    async with AsyncExitStack() as stack:
        engine = connect(postgres, pool_size=5, statement_timeout=10)
        stack.push_async_callback(engine.dispose)
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        connection_ = await stack.enter_async_context(await aio_pika.connect(rabbitmq.url))
        channel = await connection_.channel()
        onlooker = await channel.declare_queue("onlooker", auto_delete=True)
        await onlooker.bind(EVENTS_EXCHANGE, "thing.sold")
        await onlooker.bind(EVENTS_EXCHANGE, "thing.paid")
        world = World(engine, rabbitmq, settings, channel, onlooker)
        stack.push_async_callback(world.stop)
        yield world
