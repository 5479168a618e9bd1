"""Dead letters that are fetched and not acknowledged, and the selection of some of them.

RabbitMQ requeues them in their old order when the channel closes, also because our process died.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, AMQPException

from chassis.saga.topology import DEAD
from shop.dead_letters.dead_letter import STEPS, DeadLetter
from shop.errors import ShopError
from shop.services import PARTICIPANTS

SECONDS = 10
MOST = 65_000  # an AMQP prefetch has sixteen bits
BROKER_ERRORS = (*CONNECTION_EXCEPTIONS, AMQPException, TimeoutError, OSError)
Copies = Mapping[str, list[AbstractIncomingMessage]]  # by letter id


@dataclass(frozen=True)
class Listing:
    """The dead letters found. `beyond`: queue to how many were not fetched, because of the limit."""

    dead_letters: tuple[DeadLetter, ...]
    beyond: Mapping[str, int]


class Deliveries:
    """Unacknowledged dead letters. `listing` has each once, though a queue may hold several copies."""

    def __init__(
        self, reading: AbstractChannel, writing: AbstractChannel, listing: Listing, copies: Copies
    ) -> None:
        self._reading = reading
        self._writing = writing
        self._copies = dict(copies)
        self.listing = listing

    def find(self, letter_id: str | None) -> DeadLetter | None:
        """The dead letter of that id, if it was fetched and is not yet acknowledged."""
        return next(
            (dead_letter for dead_letter in self.remaining().dead_letters if dead_letter.id == letter_id),
            None,
        )

    async def publish(self, dead_letter: DeadLetter) -> None:
        """To its own queue only, confirmed by the broker. Raises DeliveryError when the broker refuses it."""
        async with asyncio.timeout(SECONDS):
            await self._writing.default_exchange.publish(
                dead_letter.to_message(), dead_letter.queue, mandatory=True
            )

    async def acknowledge(self, dead_letter: DeadLetter) -> None:
        """Remove all its copies from the queue. Returns when the broker has processed this."""
        async with asyncio.timeout(SECONDS):
            for message in self._copies.pop(dead_letter.id):
                await message.ack()
            # Acknowledgements have no reply. A channel is processed in order: this reply comes after them.
            await self._reading.declare_queue(f"{dead_letter.queue}.{DEAD}", passive=True)

    def remaining(self) -> Listing:
        """What is not yet acknowledged."""
        return Listing(
            tuple(x for x in self.listing.dead_letters if x.id in self._copies), self.listing.beyond
        )


@asynccontextmanager
async def fetch(url: str, queues: Iterable[str], limit: int) -> AsyncIterator[Deliveries]:
    """At most `limit` dead letters of each queue, the oldest first, hidden from other consumers meanwhile.

    Raises one of BROKER_ERRORS when the broker does not answer.
    """
    most = min(limit, MOST)
    arrived: list[tuple[DeadLetter, AbstractIncomingMessage]] = []
    beyond: dict[str, int] = {}
    async with (
        await aio_pika.connect(url, timeout=SECONDS) as connection,
        connection.channel(publisher_confirms=False) as reading,
        connection.channel(publisher_confirms=True, on_return_raises=True) as writing,
    ):
        await reading.set_qos(prefetch_count=most)
        for queue in queues:
            messages, more = await _take(reading, queue, most)
            arrived += [(DeadLetter.from_message(queue, message), message) for message in messages]
            beyond |= {queue: more} if more else {}
        dead_letters: dict[str, DeadLetter] = {}
        copies: dict[str, list[AbstractIncomingMessage]] = {}
        for dead_letter, message in arrived:
            dead_letters.setdefault(dead_letter.id, dead_letter)
            copies.setdefault(dead_letter.id, []).append(message)
        yield Deliveries(reading, writing, Listing(tuple(dead_letters.values()), beyond), copies)


async def _take(
    channel: AbstractChannel, queue: str, limit: int
) -> tuple[list[AbstractIncomingMessage], int]:
    """The ready messages, up to the limit, and how many more there are."""
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
                f"{len(taken)} of {expected} dead letters of {queue} were delivered within {SECONDS} s:"
                " does another consumer hold them, perhaps the management page? Try again"
            ) from None
    return taken[:expected], ready - expected


SHORTEST_PREFIX = 4


def queues_of(service: str | None) -> list[str]:
    """The queues of a service, or all queues. Raises ShopError for a service that consumes nothing."""
    queues = {p.name: [steps.queue for steps in p.steps] for p in PARTICIPANTS if p.steps}
    if service is None:
        return list(STEPS)
    if service not in queues:
        raise ShopError(f"{service} consumes no events: choose one of {', '.join(queues)}")
    return queues[service]


def select(listing: Listing, ids: Sequence[str], service: str | None, everything: bool) -> list[DeadLetter]:
    """By id, or all, or all of a service. Raises ShopError when the options are unclear, or none is found."""
    if bool(ids) == everything or (service and not everything):
        raise ShopError("give ids of dead letters, or --all, or --all and --service")
    if ids:
        return list(
            {dead_letter.id: dead_letter for dead_letter in (find(listing, one) for one in ids)}.values()
        )
    queues = queues_of(service)
    found = [dead_letter for dead_letter in listing.dead_letters if dead_letter.queue in queues]
    if not found:
        raise ShopError("there are no dead letters" + (f" of {service}" if service else ""))
    return found


def find(listing: Listing, prefix: str) -> DeadLetter:
    """The dead letter whose id starts with `prefix`. Raises ShopError unless there is exactly one."""
    found = [dead_letter for dead_letter in listing.dead_letters if dead_letter.id.startswith(prefix.lower())]
    if len(found) == 1 and len(prefix) >= SHORTEST_PREFIX:
        return found[0]
    if len(prefix) < SHORTEST_PREFIX:
        raise ShopError(f"{prefix} is too short: give at least {SHORTEST_PREFIX} characters of the id")
    if found:
        several = ", ".join(f"{dead_letter.id} ({dead_letter.queue})" for dead_letter in found)
        raise ShopError(f"{prefix} is ambiguous ({several}): give more characters")
    more = "; there are more than --limit" if listing.beyond else ""
    raise ShopError(f"no dead letter {prefix}: `shop dead-letters list` shows them{more}")
