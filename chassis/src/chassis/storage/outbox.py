"""The outbox: the events that a transaction publishes, kept until the broker has confirmed them.

A row is committed together with the state that the event announces. It is leased to the process that wrote
it, which publishes it at once from memory and deletes it when it is confirmed. When the lease has run out,
because the process died or the broker was unavailable, any process's poll may lease the row again. A row that
the broker refuses does not hold up others: it is retried after a growing delay of its own.
"""

import asyncio
import random
from collections.abc import Callable
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TextClause,
    Uuid,
    bindparam,
    text,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from chassis.messaging.batching import Batcher
from chassis.messaging.broker import Publisher, is_refused
from chassis.messaging.cancellation import as_failure
from chassis.messaging.envelope import Envelope
from chassis.saga.event import Event
from chassis.storage.composed import Part
from chassis.telemetry.logs import valid_traceparent
from chassis.telemetry.privacy import reason

log = structlog.get_logger()


def table(metadata: MetaData) -> Table:
    """Define the table in the service's metadata.

    `leased_until` is when any process may publish the row, unless it was confirmed. `attempts` counts how
    often the broker refused it, and `error` is the broker's last reason.
    """
    moment = TIMESTAMP(timezone=True)
    return Table(
        "outbox",
        metadata,
        Column("message_id", Text, primary_key=True),
        Column("position", BigInteger, Identity(), nullable=False),
        Column("type", Text, nullable=False),
        Column("version", Integer, nullable=False),
        Column("subject", Uuid, nullable=False),
        Column("time", moment, nullable=False),
        Column("causation_id", Text),
        Column("traceparent", Text),
        Column("data", Text, nullable=False),
        Column("leased_until", moment, nullable=False),
        Column("attempts", Integer, nullable=False, server_default="0"),
        Column("error", Text),
        Index("outbox_leased_until", "leased_until"),
    )


def envelope(
    event: Event, source: str, time: datetime, causation_id: str | None, traceparent: str | None
) -> Envelope:
    return Envelope(
        type=event.type,
        version=event.version,
        source=source,
        subject=event.subject,
        time=time,
        data=event.model_dump_json().encode(),
        causation_id=causation_id,
        traceparent=traceparent,
    )


_WRITE = text("""
    INSERT INTO outbox
        (message_id, type, version, subject, time, causation_id, traceparent, data, leased_until)
    SELECT *, clock_timestamp() + :lease * interval '1 second' FROM unnest(
        CAST(:ids AS text[]), CAST(:types AS text[]), CAST(:versions AS int[]),
        CAST(:subjects AS uuid[]), CAST(:times AS timestamptz[]),
        CAST(:causes AS text[]), CAST(:traces AS text[]), CAST(:data AS text[]))
    ON CONFLICT (message_id) DO NOTHING RETURNING message_id
""")


async def write(session: AsyncSession, events: list[Envelope], lease: float) -> list[Envelope]:
    """Insert a transaction's events in one statement, leased for `lease` seconds.

    Returns those that were inserted. An event that is already in the outbox, because it was published before
    and is not confirmed yet, is left out; so is a second one with the same id.
    """
    parameters = {
        "ids": [e.id for e in events],
        "types": [e.type for e in events],
        "versions": [e.version for e in events],
        "subjects": [e.subject for e in events],
        "times": [e.time for e in events],
        "causes": [e.causation_id for e in events],
        "traces": [e.traceparent for e in events],
        "data": [e.data.decode() for e in events],
    }
    fresh = set((await session.execute(_WRITE, {**parameters, "lease": lease})).scalars())
    return [e for e in {e.id: e for e in events}.values() if e.id in fresh]


_PUBLISH = """
    INSERT INTO outbox (message_id, type, version, subject, time, traceparent, data, leased_until)
    SELECT :id, :type, :version, :subject, :time, :traceparent, :data,
        now() + :lease::float8 * interval '1 second'
    FROM {given} RETURNING true
"""


def part(envelope: Envelope, lease: float, given: str, done: Callable[[], None]) -> Part:
    """A part of a composed statement: insert the event if the part `given` returned a row.

    `lease`: seconds that the row is leased for; `done`: called after the commit if it was inserted.
    """
    values = {
        "id": envelope.id,
        "type": envelope.type,
        "version": envelope.version,
        "subject": envelope.subject,
        "time": envelope.time,
        "traceparent": envelope.traceparent,
        "data": envelope.data.decode(),
        "lease": lease,
    }
    return Part("published", _PUBLISH.format(given=given), values, done)


# The limit is part of the statement's text: PostgreSQL's generic plan for any limit would read the whole
# table.
_LEASE = text("""
    UPDATE outbox SET leased_until = now() + :lease * interval '1 second'
    WHERE message_id IN (
        SELECT message_id FROM outbox WHERE leased_until < now()
        ORDER BY leased_until LIMIT :limit FOR UPDATE SKIP LOCKED)
    RETURNING message_id, type, version, subject, time, causation_id, traceparent, data
""").bindparams(bindparam("limit", type_=Integer, literal_execute=True))

# `relaxed`: the commit does not wait for the disk. If a crash of the database loses it, the worst is that an
# event is published again, which at-least-once delivery allows.
_CONFIRMED = text("""
    WITH relaxed AS (SELECT set_config('synchronous_commit', 'off', true))
    DELETE FROM outbox USING relaxed WHERE message_id = ANY(CAST(:ids AS text[]))
""")

# The broker could not be reached: end the lease early, so that the event need not wait for it to run out.
_RETRY_SOON = text("""
    WITH relaxed AS (SELECT set_config('synchronous_commit', 'off', true))
    UPDATE outbox SET leased_until = now() + :delay * interval '1 second'
    FROM relaxed WHERE message_id = ANY(CAST(:ids AS text[]))
""")
_RETRY_SOON_SECONDS = (1.0, 3.0)

# Each refused row has a delay of its own, which grows by half with every attempt.
_REFUSED = text("""
    WITH relaxed AS (SELECT set_config('synchronous_commit', 'off', true))
    UPDATE outbox SET attempts = attempts + 1, error = refused.error,
        leased_until = now() + least(:longest, power(1.5, least(attempts, 30))) * (0.5 + random() / 2)
                               * interval '1 second'
    FROM relaxed, unnest(CAST(:ids AS text[]), CAST(:errors AS text[])) AS refused (id, error)
    WHERE message_id = refused.id
""")
_ERROR_LENGTH = 300

# How much is kept in memory, for example during an outage of the broker; the poll finds the rest.
_MAX_ROWS = 1_000
_MAX_BYTES = 16 * 1024 * 1024


class Relay:
    """Publishes committed events: at once those that `wake` hands over after a commit, and by a poll those
    that no process has leased.

    `source`: the broker's user who publishes.
    `exchange`: where events are published.
    `poll`: seconds between two polls.
    `lease`: seconds that a row is leased for.
    `timeout`: seconds that the publisher takes at most for a batch. A row whose lease may end within that
        time is left to the poll.
    `linger`: seconds that the first event of a batch waits for others.
    `batch`: the maximum number of events per round.
    `longest_delay`: the maximum delay, in seconds, before a refused event is published again.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        publisher: Publisher,
        source: str,
        *,
        exchange: str,
        poll: float,
        lease: float,
        timeout: float,
        linger: float,
        batch: int,
        longest_delay: float,
    ) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._publisher = publisher
        self._source = source
        self._exchange = exchange
        self._poll = poll
        self._lease = lease
        self._publish_within = lease - timeout  # seconds after the commit in which publishing may begin
        self._linger = linger
        self._batch = batch
        self._longest_delay = longest_delay
        self._waiting: Batcher[tuple[float, Envelope]] = Batcher()
        self._waiting_bytes = 0
        self._publishing: list[Envelope] = []
        self._failing_since: float | None = None

    def has_room(self) -> bool:
        """Whether this process may keep more events in memory; if not, rows are committed without a lease."""
        return len(self._waiting) < _MAX_ROWS and self._waiting_bytes < _MAX_BYTES

    def wake(self, events: list[Envelope]) -> None:
        """Queue events that this process has just committed and leased."""
        now = asyncio.get_running_loop().time()
        self._waiting.put((now, e) for e in events)
        self._waiting_bytes += sum(len(e.data) for e in events)

    def failing_for(self) -> float:
        """Seconds since the broker last answered an attempt to publish; 0 if it answered the last one."""
        if self._failing_since is None:
            return 0
        return asyncio.get_running_loop().time() - self._failing_since

    async def run(self) -> None:
        """Publish until cancelled. When a round fails, that is logged, and a later poll finds its rows."""
        async with asyncio.TaskGroup() as group:
            group.create_task(as_failure(self._forward()))
            group.create_task(as_failure(self._recover()))

    async def drain(self) -> None:
        """Publish what is still in memory, after `run` has ended and nothing more is committed."""
        if self._publishing:
            await self._publish(self._publishing)
        while len(self._waiting):
            await self._publish(self._still_leased(self._waiting.take(self._batch)))

    async def _forward(self) -> None:
        while True:
            taken = await self._waiting.batch(self._batch, self._linger)
            self._publishing = self._still_leased(taken)
            await self._round(self._publishing)
            self._publishing = []

    def _still_leased(self, taken: list[tuple[float, Envelope]]) -> list[Envelope]:
        """Without events that have waited so long that a poll of any process may have leased them."""
        self._waiting_bytes -= sum(len(e.data) for _, e in taken)
        oldest = asyncio.get_running_loop().time() - self._publish_within
        return [e for since, e in taken if since >= oldest]

    async def _recover(self) -> None:
        while True:
            await asyncio.sleep(self._poll)
            try:
                while events := await self._lease_available():
                    await self._round(events)
            except Exception:
                log.exception("outbox poll failed")

    async def _round(self, events: list[Envelope]) -> None:
        try:
            await self._publish(events)
        except Exception:
            log.exception("outbox round failed", rows=len(events))

    async def _publish(self, events: list[Envelope]) -> None:
        errors = await self._publisher.send(
            self._exchange, [(e.type, e.to_message(self._source)) for e in events]
        )
        outcomes = list(zip(events, errors, strict=True))
        confirmed = [e.id for e, error in outcomes if error is None]
        refused = {e.id: error for e, error in outcomes if error is not None and is_refused(error)}
        unsent = [e.id for e, error in outcomes if error is not None and e.id not in refused]
        self._note_outage(unsent, answered=len(unsent) < len(events))
        if confirmed:
            await self._execute(_CONFIRMED, ids=confirmed)
        if refused:
            for id_, error in refused.items():
                log.error("event refused by the broker, retrying", message_id=id_, error=reason(error))
            why = [reason(error)[:_ERROR_LENGTH] for error in refused.values()]
            await self._execute(_REFUSED, ids=list(refused), errors=why, longest=self._longest_delay)
        if unsent:
            log.warning("events not confirmed", events=len(unsent), error=repr(next(filter(None, errors))))
            await self._execute(_RETRY_SOON, ids=unsent, delay=random.uniform(*_RETRY_SOON_SECONDS))

    def _note_outage(self, unsent: list[str], *, answered: bool) -> None:
        if answered:
            self._failing_since = None
        elif unsent and self._failing_since is None:
            self._failing_since = asyncio.get_running_loop().time()

    async def _execute(self, statement: TextClause, **values: Any) -> None:
        async with self._engine.connect() as connection:
            await connection.execute(statement, values)

    async def _lease_available(self) -> list[Envelope]:
        async with self._engine.connect() as connection:
            rows = await connection.execute(_LEASE, {"lease": self._lease, "limit": self._batch})
            return [
                Envelope(
                    type=row.type,
                    version=row.version,
                    source=self._source,
                    subject=row.subject,
                    time=row.time,
                    data=row.data.encode(),
                    causation_id=row.causation_id,
                    traceparent=valid_traceparent(row.traceparent),  # earlier releases did not validate it
                )
                for row in rows
            ]
