"""Publishes the outbox's events: at once those that this process has committed, and by a poll the others."""

import asyncio
import random

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.messaging.broker import Publisher, is_refused
from chassis.messaging.envelope import Envelope
from chassis.messaging.tasks import Batcher, as_failure
from chassis.runtime.settings import ServiceSettings
from chassis.runtime.wakeup import SOON_SECONDS, Poll, due_in
from chassis.saga.topology import EVENTS_EXCHANGE
from chassis.storage import outbox
from chassis.telemetry.privacy import reason

log = structlog.get_logger()

# How much is kept in memory, for example during an outage of the broker; the poll finds the rest.
_MAX_ROWS = 1_000
_MAX_BYTES = 16 * 1024 * 1024

# The broker could not be reached: events need not wait until their lease runs out.
_RETRY_SOON_SECONDS = (1.0, 3.0)


class Relay:
    """Publishes committed events: at once those that `wake` hands over after a commit, and by a poll those
    that no process has leased.

    `engine`: the service's database.
    `publisher`: publishes on a connection of the user `source`.
    `source`: the broker's user who publishes.
    `settings`: `outbox_poll`, `lease`, `broker_timeout`, `publish_linger`, `publish_window` and
        `refused_longest_delay` count here.
    """

    def __init__(
        self, engine: AsyncEngine, publisher: Publisher, source: str, settings: ServiceSettings
    ) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._publisher = publisher
        self._source = source
        self._settings = settings
        # A row whose lease may end while it is being published is left to the poll.
        self._publish_within = settings.lease - settings.broker_timeout  # seconds after the commit
        self._waiting: Batcher[tuple[float, Envelope]] = Batcher()
        self._waiting_bytes = 0
        self._publishing: list[Envelope] = []
        self._failing_since: float | None = None
        self.poll = Poll("outbox", settings.outbox_poll, self._recover)

    def has_room(self) -> bool:
        """Whether this process may keep more events in memory; if not, rows are committed without a lease."""
        return len(self._waiting) < _MAX_ROWS and self._waiting_bytes < _MAX_BYTES

    def wake(self, events: list[Envelope]) -> None:
        """Queue events that this process has just committed and leased."""
        now = asyncio.get_running_loop().time()
        self._waiting.put((now, e) for e in events)
        self._waiting_bytes += sum(len(e.data) for e in events)

    def note_unleased(self) -> None:
        """Look soon for events that were committed while there was no room for them."""
        self.poll.within(SOON_SECONDS)

    def failing_for(self) -> float:
        """Seconds since the broker last answered an attempt to publish; 0 if it answered the last one."""
        if self._failing_since is None:
            return 0
        return asyncio.get_running_loop().time() - self._failing_since

    async def run(self) -> None:
        """Publish until cancelled. When a round fails, that is logged, and a later poll finds its rows."""
        async with asyncio.TaskGroup() as group:
            group.create_task(as_failure(self._forward()))
            group.create_task(as_failure(self.poll.run()))

    async def drain(self) -> None:
        """Publish what is still in memory, after `run` has ended and nothing more is committed."""
        if self._publishing:
            await self._publish(self._publishing)
        while len(self._waiting):
            await self._publish(self._still_leased(self._waiting.take(self._settings.publish_window)))

    async def _forward(self) -> None:
        while True:
            taken = await self._waiting.batch(self._settings.publish_window, self._settings.publish_linger)
            self._publishing = self._still_leased(taken)
            await self._round(self._publishing)
            self._publishing = []

    def _still_leased(self, taken: list[tuple[float, Envelope]]) -> list[Envelope]:
        """Without events that have waited so long that a poll of any process may have leased them."""
        self._waiting_bytes -= sum(len(e.data) for _, e in taken)
        oldest = asyncio.get_running_loop().time() - self._publish_within
        return [e for since, e in taken if since >= oldest]

    async def _recover(self) -> float | None:
        while events := await self._lease_available():
            await self._round(events)
        return await due_in(self._engine, "outbox")

    async def _round(self, events: list[Envelope]) -> None:
        try:
            await self._publish(events)
        except Exception:
            log.exception("outbox round failed", rows=len(events))

    async def _publish(self, events: list[Envelope]) -> None:
        messages = [(e.type, e.to_message(self._source)) for e in events]
        errors = await self._publisher.send(EVENTS_EXCHANGE, messages)
        outcomes = list(zip(events, errors, strict=True))
        confirmed = [e.id for e, error in outcomes if error is None]
        refused = {e.id: reason(error) for e, error in outcomes if error is not None and is_refused(error)}
        unsent = [e.id for e, error in outcomes if error is not None and e.id not in refused]
        self._note_outage(unsent, answered=len(unsent) < len(events))
        if confirmed:
            await outbox.delete_confirmed(self._engine, confirmed)
        if refused:
            for id_, why in refused.items():
                log.error("event refused by the broker, retrying", message_id=id_, error=why)
            await outbox.note_refused(self._engine, refused, self._settings.refused_longest_delay)
            self.poll.within(SOON_SECONDS)
        if unsent:
            log.warning("events not confirmed", events=len(unsent), error=repr(next(filter(None, errors))))
            delay = random.uniform(*_RETRY_SOON_SECONDS)
            await outbox.retry_soon(self._engine, unsent, delay)
            self.poll.within(delay)

    def _note_outage(self, unsent: list[str], *, answered: bool) -> None:
        if answered:
            self._failing_since = None
        elif unsent and self._failing_since is None:
            self._failing_since = asyncio.get_running_loop().time()

    async def _lease_available(self) -> list[Envelope]:
        lease, limit = self._settings.lease, self._settings.publish_window
        return await outbox.lease_available(self._engine, self._source, lease, limit)
