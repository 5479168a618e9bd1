"""What an operator can do at the broker: record, repeat, remove and reorder messages."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

EXCHANGE = "events"
QUEUES = ("product", "payment", "order", "order.timeline", "cart", "notification")
_REPEATED = "repeated"
_WAIT_SECONDS = 30


@dataclass
class OperatorsBroker:
    """A channel with the operator's permissions."""

    channel: AbstractChannel

    @classmethod
    @asynccontextmanager
    async def connected(cls, url: str) -> AsyncIterator["OperatorsBroker"]:
        async with await aio_pika.connect(url, timeout=_WAIT_SECONDS) as connection:
            yield cls(await connection.channel())

    async def waiting(self, queue: str) -> int:
        """How many messages are ready in a queue."""
        declared = await self.channel.declare_queue(queue, passive=True)
        return declared.declaration_result.message_count or 0

    async def is_quiet(self) -> bool:
        """Nothing is ready in any service's queue."""
        return not any([await self.waiting(queue) for queue in QUEUES])

    async def publish(self, message: aio_pika.Message, routing_key: str) -> None:
        exchange = await self.channel.get_exchange(EXCHANGE, ensure=False)
        await exchange.publish(message, routing_key)

    async def watch(self) -> "Tap":
        """Record all events from now on."""
        queue = await self.channel.declare_queue(exclusive=True)
        await queue.bind(EXCHANGE, "#")
        tap = Tap(self)
        await queue.consume(tap.record, no_ack=True)
        return tap

    async def reverse(self, queue: str, expected: int) -> None:
        """Wait for that many messages in a queue without consumers, and put them back in reverse."""
        declared = await self.channel.declare_queue(queue, passive=True)
        taken: list[AbstractIncomingMessage] = []
        async with asyncio.timeout(_WAIT_SECONDS):
            while len(taken) < expected:
                if message := await declared.get(fail=False):
                    taken.append(message)
                else:
                    await asyncio.sleep(0.05)
        for message in reversed(taken):
            await self.channel.default_exchange.publish(copy_of(message), queue)
        for message in taken:
            await message.ack()

    async def find(self, queue: str, message_id: str, *, take: bool) -> AbstractIncomingMessage:
        """Wait for a message, and `take` it from the queue or leave it there; the others stay."""
        declared = await self.channel.declare_queue(queue, passive=True)
        async with asyncio.timeout(_WAIT_SECONDS):
            while True:
                passed: list[AbstractIncomingMessage] = []
                while message := await declared.get(fail=False):
                    passed.append(message)
                found = next((m for m in passed if m.message_id == message_id), None)
                for message in passed:
                    await (message.ack() if take and message is found else message.nack(requeue=True))
                if found is not None:
                    return found
                await asyncio.sleep(0.1)


class Tap:
    """The recorded events. With `echo` each is published a second time at once."""

    def __init__(self, broker: OperatorsBroker) -> None:
        self._broker = broker
        self.messages: list[AbstractIncomingMessage] = []
        self.echo = False

    async def record(self, message: AbstractIncomingMessage) -> None:
        if _REPEATED in message.headers:
            return
        self.messages.append(message)
        if self.echo:
            await self._republish(message)

    async def republish_all_in_reverse(self) -> None:
        for message in reversed(self.messages):
            await self._republish(message)

    async def _republish(self, message: AbstractIncomingMessage) -> None:
        copy = copy_of(message)
        copy.headers = {**copy.headers, _REPEATED: True}
        await self._broker.publish(copy, message.routing_key or "")


def copy_of(message: AbstractIncomingMessage) -> aio_pika.Message:
    """The same message to publish again, without the headers that the broker has added."""
    return aio_pika.Message(
        message.body,
        headers={name: value for name, value in message.headers.items() if not name.startswith("x-")},
        content_type=message.content_type,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=message.message_id,
        type=message.type,
        timestamp=message.timestamp,
        app_id=message.app_id,
    )
