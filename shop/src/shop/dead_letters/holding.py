"""Letters taken in hand: delivered and not answered. Whatever was not settled goes back in its old order when
the channel is closed, whether by us or because we died."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, AMQPException

from chassis.saga.topology import DEAD
from shop.dead_letters.letter import Letter
from shop.errors import ShopError

SECONDS = 10
MOST = 65_000  # an AMQP prefetch has sixteen bits
BROKER_ERRORS = (*CONNECTION_EXCEPTIONS, AMQPException, TimeoutError, OSError)
Copies = Mapping[str, list[AbstractIncomingMessage]]  # by letter id


@dataclass(frozen=True)
class Seen:
    """What lies in the dead letters. `beyond`: how many of a queue were not looked at."""

    letters: tuple[Letter, ...]
    beyond: Mapping[str, int]


class Held:
    """Letters in hand, in the order of their queues; `seen` has each once, however many copies there are."""

    def __init__(
        self, reading: AbstractChannel, writing: AbstractChannel, seen: Seen, copies: Copies
    ) -> None:
        self._reading = reading
        self._writing = writing
        self._copies = dict(copies)
        self.seen = seen

    def find(self, letter_id: str | None) -> Letter | None:
        """The letter of that id, if it is here and not settled."""
        here = (letter for letter in self.seen.letters if letter.id == letter_id)
        return next((letter for letter in here if letter.id in self._copies), None)

    async def publish(self, letter: Letter) -> None:
        """To its own queue and nowhere else, until the broker has it. Raises DeliveryError if it refuses."""
        async with asyncio.timeout(SECONDS):
            await self._writing.default_exchange.publish(letter.to_message(), letter.queue, mandatory=True)

    async def settle(self, letter: Letter) -> None:
        """Take it out of the queue, all its copies; returns when the broker has been told."""
        async with asyncio.timeout(SECONDS):
            for message in self._copies.pop(letter.id):
                await message.ack()
            # Acknowledgements have no answer. A channel works in sequence: this one's comes after them.
            await self._reading.declare_queue(f"{letter.queue}.{DEAD}", passive=True)

    def left(self) -> Seen:
        """What is not settled."""
        return Seen(tuple(x for x in self.seen.letters if x.id in self._copies), self.seen.beyond)


@asynccontextmanager
async def held(url: str, queues: Iterable[str], limit: int) -> AsyncIterator[Held]:
    """At most `limit` letters of each queue, the oldest first. Nobody else sees them meanwhile.

    Raises one of BROKER_ERRORS when the broker does not answer.
    """
    most = min(limit, MOST)
    arrived: list[tuple[Letter, AbstractIncomingMessage]] = []
    beyond: dict[str, int] = {}
    async with (
        await aio_pika.connect(url, timeout=SECONDS) as connection,
        connection.channel(publisher_confirms=False) as reading,
        connection.channel(publisher_confirms=True, on_return_raises=True) as writing,
    ):
        await reading.set_qos(prefetch_count=most)
        for queue in queues:
            messages, more = await _take(reading, queue, most)
            arrived += [(Letter.of(queue, message), message) for message in messages]
            beyond |= {queue: more} if more else {}
        letters: dict[str, Letter] = {}
        copies: dict[str, list[AbstractIncomingMessage]] = {}
        for letter, message in arrived:
            letters.setdefault(letter.id, letter)
            copies.setdefault(letter.id, []).append(message)
        yield Held(reading, writing, Seen(tuple(letters.values()), beyond), copies)


async def _take(
    channel: AbstractChannel, queue: str, limit: int
) -> tuple[list[AbstractIncomingMessage], int]:
    """The messages that are ready, up to the limit, and how many more there are."""
    dead = await channel.declare_queue(f"{queue}.{DEAD}", passive=True)
    ready = dead.declaration_result.message_count or 0
    expected = min(ready, limit)
    taken: list[AbstractIncomingMessage] = []
    complete = asyncio.Event()

    async def take(message: AbstractIncomingMessage) -> None:
        taken.append(message)
        if len(taken) == expected:
            complete.set()

    if expected:
        await dead.consume(take)
        try:
            async with asyncio.timeout(SECONDS):
                await complete.wait()
        except TimeoutError:
            raise ShopError(
                f"{len(taken)} of {expected} letters of {queue} came within {SECONDS} s: does somebody else"
                " hold them, on the management page perhaps? try again"
            ) from None
    return taken[:expected], ready - expected
