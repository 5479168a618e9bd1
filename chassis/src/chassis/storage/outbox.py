"""The outbox: the events that a transaction publishes, kept until the broker has confirmed them.

A row is committed together with the state that the event announces. It is leased to the process that wrote
it, which publishes it at once from memory and deletes it when it is confirmed. When the lease has run out,
because the process died or the broker was unavailable, any process's poll may lease the row again. A row that
the broker refuses does not hold up others: it is retried after a growing delay of its own.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
    bindparam,
    text,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from chassis.messaging.envelope import Envelope
from chassis.saga.tx import Event
from chassis.storage.raw_sql import Part
from chassis.telemetry.logs import valid_traceparent


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


async def lease_available(engine: AsyncEngine, source: str, lease: float, limit: int) -> list[Envelope]:
    """Lease up to `limit` events of this `source` for `lease` seconds that no process has leased."""
    async with engine.begin() as connection:
        rows = await connection.execute(_LEASE, {"lease": lease, "limit": limit})
        return [
            Envelope(
                type=row.type,
                version=row.version,
                source=source,
                subject=row.subject,
                time=row.time,
                data=row.data.encode(),
                causation_id=row.causation_id,
                traceparent=valid_traceparent(row.traceparent),  # earlier releases did not validate it
            )
            for row in rows
        ]


async def delete_confirmed(engine: AsyncEngine, ids: list[str]) -> None:
    """Delete the events that the broker has confirmed."""
    async with engine.begin() as connection:
        await connection.execute(_CONFIRMED, {"ids": ids})


async def retry_soon(engine: AsyncEngine, ids: list[str], delay: float) -> None:
    """Let any process publish these events in `delay` seconds."""
    async with engine.begin() as connection:
        await connection.execute(_RETRY_SOON, {"ids": ids, "delay": delay})


async def note_refused(engine: AsyncEngine, errors: Mapping[str, str], longest: float) -> None:
    """Record why the broker refused each event, by its id. It is published again after a delay, at most
    `longest` seconds."""
    cut = [error[:_ERROR_LENGTH] for error in errors.values()]
    async with engine.begin() as connection:
        await connection.execute(_REFUSED, {"ids": list(errors), "errors": cut, "longest": longest})
