"""The outbox: what a transaction said, kept until the broker has confirmed it.

A row is committed with the state that it tells of and leased to the process that wrote it, which
publishes at once from memory and deletes what was confirmed. A row whose lease ran out, because its
process died or the broker was away, is anybody's: the poll leases it anew. A row that the broker refuses
holds back nobody but itself: it is tried again after a growing delay of its own.
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
    """`leased_until` says when a row that was not confirmed may be published by somebody else; `attempts`
    counts how often the broker refused it, and `error` is what it said last."""
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


async def write(session: AsyncSession, said: list[Envelope], lease: float) -> list[Envelope]:
    """Insert all that a transaction said in one statement. `lease` is in seconds.

    Returns what is to be published: each once, and none whose row still waits from an earlier time.
    """
    parameters = {
        "ids": [e.id for e in said],
        "types": [e.type for e in said],
        "versions": [e.version for e in said],
        "subjects": [e.subject for e in said],
        "times": [e.time for e in said],
        "causes": [e.causation_id for e in said],
        "traces": [e.traceparent for e in said],
        "data": [e.data.decode() for e in said],
    }
    fresh = set((await session.execute(_WRITE, {**parameters, "lease": lease})).scalars())
    return [e for e in {e.id: e for e in said}.values() if e.id in fresh]


_PUBLISH = """
    INSERT INTO outbox (message_id, type, version, subject, time, traceparent, data, leased_until)
    SELECT :id, :type, :version, :subject, :time, :traceparent, :data,
        now() + :lease::float8 * interval '1 second'
    FROM {given} RETURNING true
"""


def part(envelope: Envelope, lease: float, given: str, done: Callable[[], None]) -> Part:
    """Of a composed statement: insert the row, leased for so many seconds, if the part `given` has a row."""
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


# The limit stands in the statement itself: the one plan for all limits would read the whole table.
_LEASE = text("""
    UPDATE outbox SET leased_until = now() + :lease * interval '1 second'
    WHERE message_id IN (
        SELECT message_id FROM outbox WHERE leased_until < now()
        ORDER BY leased_until LIMIT :limit FOR UPDATE SKIP LOCKED)
    RETURNING message_id, type, version, subject, time, causation_id, traceparent, data
""").bindparams(bindparam("limit", type_=Integer, literal_execute=True))

# Losing this delete in a crash publishes a message again, which is what at-least-once means.
_CONFIRMED = text("""
    WITH relaxed AS (SELECT set_config('synchronous_commit', 'off', true))
    DELETE FROM outbox USING relaxed WHERE message_id = ANY(CAST(:ids AS text[]))
""")

# Nobody waits for the end of a lease that was of no use.
_LATER = text("""
    WITH relaxed AS (SELECT set_config('synchronous_commit', 'off', true))
    UPDATE outbox SET leased_until = now() + :delay * interval '1 second'
    FROM relaxed WHERE message_id = ANY(CAST(:ids AS text[]))
""")
_LATER_SECONDS = (1.0, 3.0)

# Each waits alone, about as long again as it has waited so far.
_REFUSED = text("""
    WITH relaxed AS (SELECT set_config('synchronous_commit', 'off', true))
    UPDATE outbox SET attempts = attempts + 1, error = refused.error,
        leased_until = now() + least(:longest, power(1.5, least(attempts, 30))) * (0.5 + random() / 2)
                               * interval '1 second'
    FROM relaxed, unnest(CAST(:ids AS text[]), CAST(:errors AS text[])) AS refused (id, error)
    WHERE message_id = refused.id
""")
_ERROR_LENGTH = 300

# An outage is not kept in memory: what does not fit is found by the poll.
_MOST_ROWS = 1_000
_MOST_BYTES = 16 * 1024 * 1024


class Relay:
    """Publishes what was committed: woken with it after a commit, and polling for what was left over.

    `source` is the broker's user who publishes, `exchange` where events go; `poll`, `lease`, `linger` and
    `longest_delay` are seconds; `batch` is the most rows per round, `linger` how long the first of them waits
    for others, `longest_delay` the most that a row waits which the broker refuses. `timeout` is what the
    publisher takes at most for a batch: a row whose lease is over before that is left to the poll.
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
        self._fresh = lease - timeout  # seconds in which a row may be begun
        self._linger = linger
        self._batch = batch
        self._longest_delay = longest_delay
        self._waiting: Batcher[tuple[float, Envelope]] = Batcher()
        self._waiting_bytes = 0
        self._in_the_air: list[Envelope] = []
        self._failing_since: float | None = None

    def has_room(self) -> bool:
        """Whether this process may take more into its memory; a row that finds no room is committed without
        a lease."""
        return len(self._waiting) < _MOST_ROWS and self._waiting_bytes < _MOST_BYTES

    def wake(self, said: list[Envelope]) -> None:
        """Take up what this process has just committed and leased."""
        now = asyncio.get_running_loop().time()
        self._waiting.put((now, e) for e in said)
        self._waiting_bytes += sum(len(e.data) for e in said)

    def failing_for(self) -> float:
        """Seconds since when nothing could be published, 0 if the last attempt was answered."""
        if self._failing_since is None:
            return 0
        return asyncio.get_running_loop().time() - self._failing_since

    async def run(self) -> None:
        """Until cancelled. A round that fails is logged and its rows are found again by the poll."""
        async with asyncio.TaskGroup() as group:
            group.create_task(as_failure(self._forward()))
            group.create_task(as_failure(self._recover()))

    async def drain(self) -> None:
        """Publish what is still in memory; called when `run` has ended and nothing new can come."""
        if self._in_the_air:
            await self._publish(self._in_the_air)
        while len(self._waiting):
            await self._publish(self._unforgotten(self._waiting.take(self._batch)))

    async def _forward(self) -> None:
        while True:
            taken = await self._waiting.batch(self._batch, self._linger)
            self._in_the_air = self._unforgotten(taken)
            await self._round(self._in_the_air)
            self._in_the_air = []

    def _unforgotten(self, taken: list[tuple[float, Envelope]]) -> list[Envelope]:
        """Without what has waited for so long that the poll, here or elsewhere, may have it by now."""
        self._waiting_bytes -= sum(len(e.data) for _, e in taken)
        oldest = asyncio.get_running_loop().time() - self._fresh
        return [e for since, e in taken if since >= oldest]

    async def _recover(self) -> None:
        while True:
            await asyncio.sleep(self._poll)
            try:
                while left := await self._lease_left_over():
                    await self._round(left)
            except Exception:
                log.exception("outbox poll failed")

    async def _round(self, said: list[Envelope]) -> None:
        try:
            await self._publish(said)
        except Exception:
            log.exception("outbox round failed", rows=len(said))

    async def _publish(self, said: list[Envelope]) -> None:
        errors = await self._publisher.send(
            self._exchange, [(e.type, e.to_message(self._source)) for e in said]
        )
        outcomes = list(zip(said, errors, strict=True))
        confirmed = [e.id for e, error in outcomes if error is None]
        refused = {e.id: error for e, error in outcomes if error is not None and is_refused(error)}
        unsent = [e.id for e, error in outcomes if error is not None and e.id not in refused]
        self._note_outage(unsent, answered=len(unsent) < len(said))
        if confirmed:
            await self._execute(_CONFIRMED, ids=confirmed)
        if refused:
            for id_, error in refused.items():
                log.error("event refused by the broker, retrying", message_id=id_, error=reason(error))
            why = [reason(error)[:_ERROR_LENGTH] for error in refused.values()]
            await self._execute(_REFUSED, ids=list(refused), errors=why, longest=self._longest_delay)
        if unsent:
            log.warning("events not confirmed", events=len(unsent), error=repr(next(filter(None, errors))))
            await self._execute(_LATER, ids=unsent, delay=random.uniform(*_LATER_SECONDS))

    def _note_outage(self, unsent: list[str], *, answered: bool) -> None:
        if answered:
            self._failing_since = None
        elif unsent and self._failing_since is None:
            self._failing_since = asyncio.get_running_loop().time()

    async def _execute(self, statement: TextClause, **values: Any) -> None:
        async with self._engine.connect() as connection:
            await connection.execute(statement, values)

    async def _lease_left_over(self) -> list[Envelope]:
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
                    traceparent=valid_traceparent(row.traceparent),  # of a release that looked less closely
                )
                for row in rows
            ]
