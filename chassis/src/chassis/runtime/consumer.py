"""Consumes one queue. It always works in this sequence: decode, claim, run, commit, acknowledge.

A batch that fails is rolled back and handled again message by message. A message that still fails goes to the
retry ladder and then to the dead letters, and the rest of the batch is committed. While the database is
unavailable, the consumer waits and tries again, and no attempt is counted. A message that was redelivered
many times may crash the process: it is handled alone, and the attempt is recorded in the database beforehand.
"""

import asyncio
import hashlib
from collections.abc import Iterator

import structlog
from aio_pika.abc import AbstractIncomingMessage, AbstractQueue, AbstractRobustConnection
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, AMQPException, ChannelInvalidStateError

from chassis.messaging.broker import Publisher
from chassis.messaging.envelope import Unreadable
from chassis.messaging.tasks import Batcher, as_broken_connection
from chassis.runtime.retry import Retry, shortened
from chassis.saga.delivery import Delivery, decode
from chassis.saga.steps import Steps
from chassis.storage import inbox
from chassis.storage.database import Transactions
from chassis.storage.raw_sql import through_outages
from chassis.telemetry.logs import trace_context
from chassis.telemetry.privacy import redacted

log = structlog.get_logger()

# A message redelivered this often without being acknowledged is suspected of crashing the process; a few lost
# connections look the same. It is dead-lettered after this many crashes while it was handled alone.
SUSPECT_AFTER = 3
MAX_CRASHES = 3


class Consumer:
    """Consumes `steps.queue` until cancelled.

    `connection`: where to consume; it needs no publisher confirms.
    `publisher`: publishes to the retry ladder and the dead letters, on a connection of its own.
    `service`: this service's name, for the header `failed-service`.
    `batch`: the maximum number of messages per commit.
    `batch_bytes`: the maximum size of their bodies together, in bytes; a single larger message passes.
    `linger`: the seconds that the first message of a batch waits for others.
    """

    def __init__(
        self,
        connection: AbstractRobustConnection,
        publisher: Publisher,
        transactions: Transactions,
        steps: Steps,
        *,
        service: str,
        batch: int,
        batch_bytes: int,
        linger: float,
    ) -> None:
        self._connection = connection
        self._transactions = transactions
        self._steps = steps
        self._retry = Retry(publisher, steps, service)
        self._batch = batch
        self._batch_bytes = batch_bytes
        self._linger = linger
        self._arrived: Batcher[AbstractIncomingMessage] = Batcher()
        self._queue: AbstractQueue | None = None
        self._tag = ""
        self._idle = asyncio.Event()
        self._idle.set()
        self._progress_at = 0.0

    @property
    def queue(self) -> str:
        """The name of the queue."""
        return self._steps.queue

    def issue(self, stuck_after: float) -> str | None:
        """Why the queue makes no progress, or `None`: it is not being consumed, or no message was finished
        for `stuck_after` seconds although some are being handled."""
        if self._queue is None or self._channel.is_closed:
            return "not consuming"
        if self._idle.is_set():
            return None
        busy = asyncio.get_running_loop().time() - self._progress_at
        return f"stuck: busy with the same messages for {busy:.0f} s" if busy > stuck_after else None

    async def start(self) -> None:
        """Begin to consume. Raises when the queue does not exist."""
        channel = await self._connection.channel(publisher_confirms=False)
        await channel.set_qos(prefetch_count=self._batch * 2)
        self._channel = channel  # the connection has only a weak reference to it
        queue = await channel.declare_queue(self._steps.queue, passive=True)
        self._tag = await queue.consume(self._take)
        self._queue = queue

    async def run(self) -> None:
        """Handle what arrives, batch by batch, until cancelled."""
        while True:
            batch = await self._arrived.batch(self._batch, self._linger)
            self._idle.clear()
            try:
                for part in _split_by_size(batch, self._batch_bytes):
                    self._note_progress()
                    await self._handle_delivered(part)
            finally:
                self._idle.set()

    async def stop(self, grace: float) -> None:
        """Stop consuming and let the current batch finish, for at most `grace` seconds."""
        queue, self._queue = self._queue, None
        if queue is None:
            return
        try:
            with as_broken_connection():
                async with asyncio.timeout(grace):
                    await queue.cancel(self._tag)
                    await self._idle.wait()
        except (TimeoutError, *CONNECTION_EXCEPTIONS, AMQPException) as error:
            log.warning("stopped while handling messages: the broker redelivers them", error=repr(error))

    async def _take(self, message: AbstractIncomingMessage) -> None:
        self._arrived.put([message])

    async def _handle_delivered(self, batch: list[AbstractIncomingMessage]) -> None:
        live = [message for message in batch if _can_be_acknowledged(message)]
        if not live:
            return
        for message in live:
            if _is_suspect(message):
                await self._handle_suspect(message)
        if others := [message for message in live if not _is_suspect(message)]:
            await self._decode_and_handle(others)
            # Batches are taken in the sequence of delivery: `multiple` acknowledges these and no later ones.
            await _acknowledge(others[-1], multiple=True)

    async def _handle_suspect(self, message: AbstractIncomingMessage) -> None:
        """Handle it alone, and record the attempt beforehand: if the process crashes, the count survives."""
        engine, queue, fingerprint = self._transactions.engine, self._steps.queue, _fingerprint(message)
        times = await through_outages(lambda: inbox.begin(engine, queue, fingerprint))
        if times > MAX_CRASHES:
            why = f"the process ended {MAX_CRASHES} times while handling it alone"
            await self._retry.dead_letter(message, why, step="unknown")
        else:
            await self._decode_and_handle([message])
        await through_outages(lambda: inbox.end(engine, queue, fingerprint))
        await _acknowledge(message, multiple=False)
        self._note_progress()

    async def _decode_and_handle(self, messages: list[AbstractIncomingMessage]) -> None:
        readable: list[Delivery] = []
        for message in messages:
            try:
                readable.append(decode(message, self._steps))
            except Unreadable as error:
                await self._retry.dead_letter(message, shortened(redacted(f"{error}")), step="decode")
        if readable:
            await self._handle(readable)

    async def _handle(self, batch: list[Delivery]) -> None:
        try:
            await through_outages(lambda: self._commit(batch))
        except Exception as error:
            if len(batch) == 1:
                await self._retry.retry_or_dead_letter(batch[0], error)
                return
            for delivery in batch:
                await self._handle([delivery])
                self._note_progress()

    async def _commit(self, batch: list[Delivery]) -> None:
        by_id: dict[str, Delivery] = {}
        for delivery in batch:
            by_id.setdefault(delivery.envelope.id, delivery)  # a batch may contain the same event twice
        async with self._transactions() as tx:
            fresh = await inbox.claim(tx.session, self._steps.queue, list(by_id))
            todo = [delivery for id_, delivery in by_id.items() if id_ in fresh]
            await tx.lock([pair for d in todo if d.step.locks for pair in d.step.locks(d.event)])
            for delivery in todo:
                tx.handling(delivery.envelope)
                with trace_context(delivery.envelope.traceparent, delivery.event.about):
                    await delivery.step.run(delivery.event, tx)

    def _note_progress(self) -> None:
        self._progress_at = asyncio.get_running_loop().time()


def _split_by_size(
    batch: list[AbstractIncomingMessage], max_bytes: int
) -> Iterator[list[AbstractIncomingMessage]]:
    """Parts in the sequence of delivery, each of at most `max_bytes` or of a single larger message."""
    part: list[AbstractIncomingMessage] = []
    size = 0
    for message in batch:
        if part and size + len(message.body) > max_bytes:
            yield part
            part, size = [], 0
        part.append(message)
        size += len(message.body)
    yield part


def _is_suspect(message: AbstractIncomingMessage) -> bool:
    count = message.headers.get("x-delivery-count")
    return bool(message.redelivered) and isinstance(count, int) and count >= SUSPECT_AFTER


def _fingerprint(message: AbstractIncomingMessage) -> str:
    """Identifies the message by its raw content: decoding may be what crashes the process."""
    properties = f"{message.type}\0{message.message_id}\0".encode(errors="replace")
    return hashlib.sha256(properties + message.body).hexdigest()


async def _acknowledge(message: AbstractIncomingMessage, *, multiple: bool) -> None:
    try:
        with as_broken_connection():
            await message.ack(multiple=multiple)
    except (*CONNECTION_EXCEPTIONS, AMQPException) as error:
        log.warning("not acknowledged: the broker redelivers it", error=repr(error))


def _can_be_acknowledged(message: AbstractIncomingMessage) -> bool:
    """Whether the channel that delivered it is still open; if not, the broker redelivers it."""
    try:
        return not message.channel.is_closed
    except ChannelInvalidStateError:
        return False
