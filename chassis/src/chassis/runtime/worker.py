"""The part of a service that works in the background: consumers, the relay, the intent runner, periodic jobs.

It starts only if the broker and its queues are there, and stops the process when one of its tasks ends. To
lose nothing, it stops in this sequence: consume nothing new, finish what has begun, publish what was
committed, close.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import Any

import structlog
from aio_pika.abc import AbstractRobustConnection

from chassis.messaging.broker import Publisher, connect, login
from chassis.messaging.tasks import as_failure
from chassis.runtime.consumer import Consumer
from chassis.runtime.intent_runner import IntentRunner
from chassis.runtime.jobs import Job
from chassis.runtime.relay import Relay
from chassis.runtime.settings import ServiceSettings
from chassis.runtime.wakeup import listen
from chassis.saga.intents import Call
from chassis.saga.topology import EVENTS_EXCHANGE, Participant
from chassis.storage import inbox
from chassis.storage.database import Transactions

log = structlog.get_logger()

# Each phase of stopping has at least so long, even if the grace period is used up.
MIN_GRACE_SECONDS = 1.0
PRUNE_BATCH = 5_000


class Worker:
    """Runs a participant's background work.

    `transactions`: opens the steps' transactions, and passes what they commit to the relay and the runner.
    `call`: makes the remote calls that the participant intends.
    `jobs`: the periodic jobs.
    `issues`: names what keeps the service's remote calls from making progress, for `/readyz`.

    `failed` is true once a task has ended although none should.
    """

    def __init__(
        self,
        participant: Participant,
        settings: ServiceSettings,
        transactions: Transactions,
        call: Call | None,
        jobs: Sequence[Job],
        issues: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._participant = participant
        self._settings = settings
        self._transactions = transactions
        self._call = call
        self._jobs = jobs
        self._issues = issues
        self._connections: list[AbstractRobustConnection] = []
        self._consumers: list[Consumer] = []
        self._runner: IntentRunner | None = None
        self._relay: Relay | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._stop_by: float | None = None
        self.failed = False

    @property
    def connected(self) -> bool:
        """Whether all connections to the broker are open."""
        return bool(self._connections) and all(c.connected.is_set() for c in self._connections)

    def issues(self) -> dict[str, str]:
        """What makes no progress although the broker is there: by its name, the reason."""
        after = self._settings.stuck_after
        found = {f"queue {c.queue}": issue for c in self._consumers if (issue := c.issue(after))}
        if self._relay is not None and (silence := self._relay.failing_for()) > after:
            found["outbox"] = f"stuck: nothing could be published for {silence:.0f} s"
        return {**found, **self._issues()}

    async def start(self) -> None:
        """Connect, check the topology and start the tasks. Raises when the broker or a queue is missing."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        publisher = await self._connect()
        if self._participant.intents is not None and self._call is not None:
            intents = self._participant.intents
            self._runner = IntentRunner(self._transactions, intents, self._call, self._settings)
            self._spawn(self._runner.run(), "intents")
        if self._participant.published_keys():
            source = login(self._settings.amqp_url)
            self._relay = Relay(self._transactions.engine, publisher, source, self._settings)
            self._spawn(self._relay.run(), "relay")
        self._transactions.after_commit(relay=self._relay, runner=self._runner)
        if self._settings.role == "worker" and (self._relay or self._runner):
            self._spawn(listen(self._transactions.engine, self._poll_now), "listen")
        for consumer in self._consumers:
            await consumer.start()
            self._spawn(consumer.run(), "consumer")
        for job in (*self._jobs, self._prune_inbox()):
            self._spawn(job.run(), job.name)

    def begin_to_stop(self) -> None:
        """Start the grace period, which open requests and the worker share. `stop` starts it otherwise."""
        if self._stop_by is None:
            self._stop_by = time.monotonic() + self._settings.shutdown_grace

    async def stop(self) -> None:
        """Stop within the grace period and a few seconds, even if broker or database do not answer. Messages
        and rows that are not finished by then are redelivered, or found by a later poll."""
        self.begin_to_stop()
        grace = self._grace()
        stopping = [consumer.stop(grace) for consumer in self._consumers]
        if self._runner is not None:
            stopping.append(self._runner.finish(grace))
        await asyncio.gather(*stopping)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=MIN_GRACE_SECONDS)
        if self._relay is not None:
            try:
                async with asyncio.timeout(self._grace()):
                    await self._relay.drain()
            except Exception:
                log.exception("stopped with unpublished rows: the next poll publishes them")
        await asyncio.gather(*(_close(connection) for connection in self._connections))

    def _grace(self) -> float:
        assert self._stop_by is not None
        return max(self._stop_by - time.monotonic(), MIN_GRACE_SECONDS)

    async def _connect(self) -> Publisher:
        settings, name = self._settings, self._participant.name
        publishing = await self._open_connection("publishes")
        publisher = Publisher(publishing, window=settings.publish_window, timeout=settings.broker_timeout)
        await publisher.check(EVENTS_EXCHANGE)
        if self._participant.steps:
            consuming = await self._open_connection("consumes")
            self._consumers = [
                Consumer(
                    consuming,
                    publisher,
                    self._transactions,
                    steps,
                    service=name,
                    batch=settings.consume_batch,
                    batch_bytes=settings.consume_batch_bytes,
                    linger=settings.consume_linger,
                )
                for steps in self._participant.steps
            ]
        return publisher

    async def _open_connection(self, purpose: str) -> AbstractRobustConnection:
        settings = self._settings
        connection = await connect(
            settings.amqp_url,
            f"{self._participant.name} {purpose}",
            password_file=settings.amqp_password_file,
            timeout=settings.broker_timeout,
            startup_timeout=settings.broker_patience,
        )
        self._connections.append(connection)
        return connection

    def _prune_inbox(self) -> Job:
        keep = timedelta(days=self._settings.inbox_keep_days)

        async def prune() -> None:
            pruned = PRUNE_BATCH
            while pruned == PRUNE_BATCH:
                pruned = await inbox.prune(self._transactions.engine, keep, limit=PRUNE_BATCH)
            await inbox.prune_started(self._transactions.engine, keep)

        return Job("prune inbox", 60, prune)

    def _poll_now(self) -> None:
        for polling in (self._relay, self._runner):
            if polling is not None:
                polling.poll.within(0)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(as_failure(work), name=name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        self.failed = True
        log.critical("a task ended, stopping", task=task.get_name(), exc_info=task.exception())
        os.kill(os.getpid(), signal.SIGTERM)


async def _close(connection: AbstractRobustConnection) -> None:
    try:
        async with asyncio.timeout(MIN_GRACE_SECONDS):
            await connection.close()
    except Exception as error:
        log.warning("connection did not close", error=repr(error))
