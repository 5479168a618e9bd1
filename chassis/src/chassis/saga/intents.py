"""Intents: remote calls that are committed first, made outside any transaction, and settled in one.

The runner makes the calls of what was committed, many at a time, and settles their outcomes in batches.
An outcome that stays unknown is asked for again with the same key and the same parameters.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import Column, Index, Integer, MetaData, Table, Text, Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from chassis.saga.event import Event
from chassis.saga.tx import Intent, Tx

_json = TypeAdapter(dict[str, Any])


def table(metadata: MetaData) -> Table:
    """`attempts` counts calls that ended without an outcome; `error` is what the last of them met;
    `holder` is the process that has the lease, `started_at` when a call that must not be made twice began,
    `outcome` how it ended, until it is settled."""
    return Table(
        "intent",
        metadata,
        Column("key", Text, primary_key=True),
        Column("kind", Text, nullable=False),
        Column("subject", Uuid, nullable=False),
        Column("payload", JSONB, nullable=False),
        Column("causation_id", Text),
        Column("traceparent", Text),
        Column("attempts", Integer, nullable=False, server_default="0"),
        Column("error", Text),
        Column("created_at", TIMESTAMP(timezone=True), nullable=False, server_default=text("now()")),
        Column("leased_until", TIMESTAMP(timezone=True), nullable=False),
        Column("holder", Uuid),
        Column("started_at", TIMESTAMP(timezone=True)),
        Column("outcome", JSONB),
        Index("intent_leased_until", "leased_until"),
    )


@dataclass(frozen=True)
class Due:
    """An intent whose call is to be made now, and what led to it."""

    intent: Intent
    attempts: int
    causation_id: str | None
    traceparent: str | None


class OutcomePending(Exception):
    """Nothing went wrong, and the outcome is still open: somebody else has to do something first. The call is
    made again within `again_in` seconds."""

    def __init__(self, waits_for: str, again_in: float) -> None:
        super().__init__(waits_for)
        self.again_in = again_in


Settle = Callable[[Intent, Any, Tx], Awaitable[None]]
Call = Callable[[Intent], Awaitable[Any]]
Locks = Callable[[Intent], Iterable[tuple[type, Any]]]


@dataclass(frozen=True)
class OutcomeStep:
    """The function for the outcome of one kind of call, and which events it may publish."""

    kind: str
    run: Settle
    publishes: tuple[type[Event], ...]


class Intents:
    """The registry of a service's remote calls: for each kind, what its outcome leads to."""

    def __init__(self, *, locks: Locks | None = None) -> None:
        self.locks = locks
        self._by_kind: dict[str, OutcomeStep] = {}

    def on_outcome(self, kind: str, *, publishes: Sequence[type[Event]] = ()) -> Callable[[Settle], Settle]:
        """Register the decorated function for outcomes of `kind`. Raises `ValueError` on a second one."""

        def register(run: Settle) -> Settle:
            if kind in self._by_kind:
                raise ValueError(f"{kind} has a step already")
            self._by_kind[kind] = OutcomeStep(kind, run, tuple(publishes))
            return run

        return register

    def __getitem__(self, kind: str) -> OutcomeStep:
        return self._by_kind[kind]

    def __iter__(self) -> Any:
        return iter(self._by_kind.values())


_WRITE = text("""
    INSERT INTO intent (key, kind, subject, payload, causation_id, traceparent, leased_until, holder)
    SELECT *, clock_timestamp() + :lease * interval '1 second', :holder FROM unnest(
        CAST(:keys AS text[]), CAST(:kinds AS text[]), CAST(:subjects AS uuid[]), CAST(:payloads AS jsonb[]),
        CAST(:causes AS text[]), CAST(:traces AS text[]))
    ON CONFLICT (key) DO NOTHING RETURNING key
""")
# The limit stands in the statement itself: the one plan for all limits would read the whole table.
_LEASE = text("""
    UPDATE intent SET leased_until = now() + :lease * interval '1 second', holder = :holder
    WHERE key IN (
        SELECT key FROM intent WHERE leased_until < now()
        ORDER BY leased_until LIMIT :limit FOR UPDATE SKIP LOCKED)
    RETURNING key, kind, subject, payload, attempts, causation_id, traceparent
""").bindparams(bindparam("limit", type_=Integer, literal_execute=True))
# What is locked is being settled, and needs its lease no longer.
_KEEP = text("""
    UPDATE intent SET leased_until = now() + :lease * interval '1 second' WHERE key IN (
        SELECT key FROM intent WHERE key = ANY(CAST(:keys AS text[])) AND holder = :holder
        FOR UPDATE SKIP LOCKED)
    RETURNING key
""")
_RELEASE = text("""
    UPDATE intent SET leased_until = now(), holder = NULL
    WHERE key = ANY(CAST(:keys AS text[])) AND holder = :holder
""")
_SETTLED = text("""
    DELETE FROM intent WHERE key = ANY(CAST(:keys AS text[])) AND holder = :holder RETURNING key
""")
_AGAIN = text("""
    UPDATE intent SET attempts = attempts + 1, error = :error, holder = NULL,
                      leased_until = now() + :delay * interval '1 second'
    WHERE key = :key AND holder = :holder
""")
# One whose call is in the air needs no hint. One that is being settled is locked: waiting for it here could
# be waiting in a circle.
_SOONER = text("""
    UPDATE intent SET leased_until = now() WHERE key IN (
        SELECT key FROM intent WHERE subject = :subject AND attempts > 0 AND holder IS NULL
        FOR UPDATE SKIP LOCKED)
""")


async def write(session: AsyncSession, intended: Sequence[Due], lease: float, holder: UUID) -> list[Due]:
    """Insert in one statement. Returns those that were not intended before: theirs are the calls to make."""
    intents = [due.intent for due in intended]
    parameters = {
        "keys": [i.key for i in intents],
        "kinds": [i.kind for i in intents],
        "subjects": [i.subject for i in intents],
        "payloads": [_json.dump_json(dict(i.payload)).decode() for i in intents],
        "causes": [due.causation_id for due in intended],
        "traces": [due.traceparent for due in intended],
        "lease": lease,
        "holder": holder,
    }
    fresh = set((await session.execute(_WRITE, parameters)).scalars())
    return [due for due in intended if due.intent.key in fresh]


async def retry_now(session: AsyncSession, subject: UUID) -> None:
    """Somebody hinted that an unknown outcome is known now: make its call again at the next poll."""
    await session.execute(_SOONER, {"subject": subject})


async def take_settled(session: AsyncSession, due: Sequence[Due], holder: UUID) -> set[str]:
    """Delete the intents whose outcome is known. Returns the keys that `holder` still held: what another took
    up meanwhile is settled with that one's outcome."""
    keys = [d.intent.key for d in due]
    return set((await session.execute(_SETTLED, {"keys": keys, "holder": holder})).scalars())


async def lease_left_over(engine: AsyncEngine, lease: float, limit: int, holder: UUID) -> list[Due]:
    """Lease what nobody holds: retries that are due, and what a dead process left."""
    async with engine.begin() as connection:
        rows = await connection.execute(_LEASE, {"lease": lease, "limit": limit, "holder": holder})
        return [
            Due(Intent(row.kind, row.subject, row.payload), row.attempts, row.causation_id, row.traceparent)
            for row in rows
        ]


async def keep(engine: AsyncEngine, keys: Sequence[str], lease: float, holder: UUID) -> set[str]:
    """Lease anew what `holder` has in hand. Returns the keys that it still held."""
    async with engine.begin() as connection:
        kept = await connection.execute(_KEEP, {"keys": list(keys), "lease": lease, "holder": holder})
        return set(kept.scalars())


async def again(engine: AsyncEngine, due: Due, error: str, delay: float, holder: UUID) -> None:
    """Note that a call ended without an outcome; it is due again in `delay` seconds."""
    async with engine.begin() as connection:
        await connection.execute(
            _AGAIN, {"key": due.intent.key, "error": error, "delay": delay, "holder": holder}
        )


async def release(engine: AsyncEngine, due: Sequence[Due], holder: UUID) -> None:
    """Hand back leases: anybody may make these calls now."""
    async with engine.begin() as connection:
        await connection.execute(_RELEASE, {"keys": [d.intent.key for d in due], "holder": holder})
