"""Hears one queue: decodes, claims, runs the steps of a batch, commits, acknowledges. Never otherwise.

A batch that fails is rolled back and tried message by message; a message that fails alone goes down the
retry ladder and then to the dead letters, and its neighbours go on. An outage of the database is waited
out: it is nobody's fault and uses up no attempt. What was delivered again and again may be what ends the
process: it is handled alone, and noted before.
"""

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import structlog
from aio_pika.abc import AbstractIncomingMessage, AbstractQueue, AbstractRobustConnection
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, AMQPException, ChannelInvalidStateError

from chassis.messaging.batching import Batcher
from chassis.messaging.broker import Publisher
from chassis.messaging.cancellation import as_broken_connection
from chassis.messaging.envelope import Unreadable
from chassis.runtime.retry import Retry, shortened
from chassis.saga.delivery import Delivery, decode
from chassis.saga.steps import Steps
from chassis.storage import inbox, started
from chassis.storage.database import Transactions
from chassis.storage.outage import is_outage
from chassis.telemetry.logs import trace_context
from chassis.telemetry.privacy import redacted

log = structlog.get_logger()

T = TypeVar("T")

# Deliveries without an end after which a message may be what ends the process; a few lost connections do
# the same. Past so many ends of the process while it was handled alone, there is no doubt.
SUSPECT_AFTER = 3
MOST_ENDS = 3


class Consumer:
    """Consumes `steps.queue` until cancelled.

    `batch` is the most messages per commit and `batch_bytes` their most bytes, unless a single one has more;
    `linger` is the seconds that the first of them waits for others.
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
        """Its name."""
        return self._steps.queue

    def issue(self, stuck_after: float) -> str | None:
        """Why it does not get on, if so: it is not consuming, or nothing has come to an end for `stuck_after`
        seconds."""
        if self._queue is None or self._channel.is_closed:
            return "not consuming"
        if self._idle.is_set():
            return None
        busy = asyncio.get_running_loop().time() - self._progress_at
        return f"stuck: busy with the same messages for {busy:.0f} s" if busy > stuck_after else None

    async def start(self) -> None:
        """Check that the queue is there and begin to consume."""
        channel = await self._connection.channel(publisher_confirms=False)
        await channel.set_qos(prefetch_count=self._batch * 2)
        self._channel = channel  # the connection keeps its channels weakly
        queue = await channel.declare_queue(self._steps.queue, passive=True)
        self._tag = await queue.consume(self._take)
        self._queue = queue

    async def run(self) -> None:
        """Handle what arrives, batch by batch, until cancelled."""
        while True:
            batch = await self._arrived.batch(self._batch, self._linger)
            self._idle.clear()
            try:
                for part in _in_parts(batch, self._batch_bytes):
                    self._progress()
                    await self._handle_delivered(part)
            finally:
                self._idle.set()

    async def stop(self, grace: float) -> None:
        """Take nothing new and let the batch in work finish, for at most `grace` seconds."""
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
            await self._read_and_handle(others)
            # Batches end as they arrived, first come first served, so the last tag settles all before it.
            await _acknowledge(others[-1], multiple=True)

    async def _handle_suspect(self, message: AbstractIncomingMessage) -> None:
        """Alone, and noted before, so that whoever comes after us knows whose turn it was when we ended."""
        engine, queue, print_ = self._transactions.engine, self._steps.queue, _fingerprint(message)
        times = await self._outlasting(lambda: started.begin(engine, queue, print_))
        if times > MOST_ENDS:
            why = f"the process ended {MOST_ENDS} times while handling it"
            await self._retry.dead_letter(message, why, step="unknown")
        else:
            await self._read_and_handle([message])
        await self._outlasting(lambda: started.end(engine, queue, print_))
        await _acknowledge(message, multiple=False)
        self._progress()

    async def _read_and_handle(self, messages: list[AbstractIncomingMessage]) -> None:
        readable, poison = self._read(messages)
        for message, why in poison:
            await self._retry.dead_letter(message, why, step="decode")
        if readable:
            await self._handle(readable)

    def _read(
        self, messages: list[AbstractIncomingMessage]
    ) -> tuple[list[Delivery], list[tuple[AbstractIncomingMessage, str]]]:
        readable: list[Delivery] = []
        poison: list[tuple[AbstractIncomingMessage, str]] = []
        for message in messages:
            try:
                readable.append(decode(message, self._steps))
            except Unreadable as error:
                poison.append((message, shortened(redacted(f"{error}"))))
        return readable, poison

    async def _handle(self, batch: list[Delivery]) -> None:
        try:
            await self._outlasting(lambda: self._commit(batch))
        except Exception as error:
            await self._handle_failed(batch, error)

    async def _outlasting(self, work: Callable[[], Awaitable[T]]) -> T:
        """What came of the work, done again and again while the database is away."""
        delay = 0.1
        while True:
            try:
                return await work()
            except Exception as error:
                if not is_outage(error):
                    raise
                log.warning("database unavailable, retrying", error=repr(error))
            await asyncio.sleep(delay * random.uniform(0.5, 1))
            delay = min(delay * 2, 2.0)

    async def _handle_failed(self, batch: list[Delivery], error: Exception) -> None:
        if len(batch) == 1:
            await self._retry.later(batch[0], error)
            return
        for delivery in batch:
            await self._handle([delivery])
            self._progress()

    async def _commit(self, batch: list[Delivery]) -> None:
        async with self._transactions() as tx:
            fresh = await inbox.claim(tx.session, self._steps.queue, [d.envelope.id for d in batch])
            todo = [d for d in batch if d.envelope.id in fresh]
            await tx.lock([pair for d in todo if d.step.locks for pair in d.step.locks(d.event)])
            for delivery in todo:
                if delivery.envelope.id not in fresh:
                    continue  # delivered twice within this batch
                fresh.discard(delivery.envelope.id)
                tx.handling(delivery.envelope)
                with trace_context(delivery.envelope.traceparent, delivery.event.about):
                    await delivery.step.run(delivery.event, tx)

    def _progress(self) -> None:
        self._progress_at = asyncio.get_running_loop().time()


def _in_parts(batch: list[AbstractIncomingMessage], most: int) -> Iterator[list[AbstractIncomingMessage]]:
    """First come first, each part with at least one message and at most so many bytes."""
    part: list[AbstractIncomingMessage] = []
    size = 0
    for message in batch:
        if part and size + len(message.body) > most:
            yield part
            part, size = [], 0
        part.append(message)
        size += len(message.body)
    yield part


def _is_suspect(message: AbstractIncomingMessage) -> bool:
    count = message.headers.get("x-delivery-count")
    return bool(message.redelivered) and isinstance(count, int) and count >= SUSPECT_AFTER


def _fingerprint(message: AbstractIncomingMessage) -> str:
    """Told by what it is, before anything of it is read."""
    told = f"{message.type}\0{message.message_id}\0".encode(errors="replace")
    return hashlib.sha256(told + message.body).hexdigest()


async def _acknowledge(message: AbstractIncomingMessage, *, multiple: bool) -> None:
    try:
        with as_broken_connection():
            await message.ack(multiple=multiple)
    except (*CONNECTION_EXCEPTIONS, AMQPException) as error:
        log.warning("not acknowledged: the broker redelivers it", error=repr(error))


def _can_be_acknowledged(message: AbstractIncomingMessage) -> bool:
    """Not once the channel that it came by is gone: the broker delivers it again."""
    try:
        return not message.channel.is_closed
    except ChannelInvalidStateError:
        return False
