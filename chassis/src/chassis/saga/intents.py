"""Intents: remote calls that are committed first and made outside any transaction.

The runner makes the calls of committed intents, many at a time, and commits the effects of their outcomes in
batches: that settles the intents and deletes their rows. While an outcome is unknown, the call is repeated
with the same key and the same parameters.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import Column, Index, Integer, MetaData, Table, Text, Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from chassis.saga.tx import Event, Intent, Tx

_json = TypeAdapter(dict[str, Any])


def table(metadata: MetaData) -> Table:
    """Define the table in the service's metadata.

    `attempts` counts the calls whose outcome is unknown, and `error` is the last one's error. `holder` is the
    process that has the lease. `started_at` and `outcome` are for calls that must not be made twice: when the
    call began, and its outcome until that is settled.
    """
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
    """An intent whose call is to be made now.

    `attempts`: the number of calls before, whose outcome is unknown.
    `causation_id`, `traceparent`: the message that led to the intent, and the trace that it carried.
    """

    intent: Intent
    attempts: int
    causation_id: str | None
    traceparent: str | None


class OutcomePending(Exception):
    """No error: the outcome depends on somebody else, for example on a confirmation by the customer. The call
    is repeated within `again_in` seconds."""

    def __init__(self, waits_for: str, again_in: float) -> None:
        super().__init__(waits_for)
        self.again_in = again_in


Settle = Callable[[Intent, Any, Tx], Awaitable[None]]
Call = Callable[[Intent], Awaitable[Any]]
Locks = Callable[[Intent], Iterable[tuple[type, Any]]]


@dataclass(frozen=True)
class OutcomeStep:
    """The function that handles the outcomes of one kind of call, and the events that it may publish."""

    kind: str
    run: Settle
    publishes: tuple[type[Event], ...]


class Intents:
    """The registry of a service's remote calls: for each kind, the function that handles its outcome.

    `locks`: returns the rows that the function will load for an intent, as pairs of row type and key.
    """

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
# The limit is part of the statement's text: PostgreSQL's generic plan for any limit would read the whole
# table.
_LEASE = text("""
    UPDATE intent SET leased_until = now() + :lease * interval '1 second', holder = :holder
    WHERE key IN (
        SELECT key FROM intent WHERE leased_until < now()
        ORDER BY leased_until LIMIT :limit FOR UPDATE SKIP LOCKED)
    RETURNING key, kind, subject, payload, attempts, causation_id, traceparent
""").bindparams(bindparam("limit", type_=Integer, literal_execute=True))
# A locked row is being settled, so its lease needs no extension.
_EXTEND = text("""
    UPDATE intent SET leased_until = now() + :lease * interval '1 second' WHERE key IN (
        SELECT key FROM intent WHERE key = ANY(CAST(:keys AS text[])) AND holder = :holder
        FOR UPDATE SKIP LOCKED)
    RETURNING key
""")
_RELEASE = text("""
    UPDATE intent SET leased_until = now(), holder = NULL
    WHERE key = ANY(CAST(:keys AS text[])) AND holder = :holder
""")
_DELETE = text("""
    DELETE FROM intent WHERE key = ANY(CAST(:keys AS text[])) AND holder = :holder RETURNING key
""")
_POSTPONE = text("""
    UPDATE intent SET attempts = attempts + 1, error = :error, holder = NULL,
                      leased_until = now() + :delay * interval '1 second'
    WHERE key = :key AND holder = :holder
""")
# An intent with a holder has its call under way and needs no earlier retry. A locked row is being settled;
# waiting for its lock here could cause a deadlock.
_RETRY_NOW = text("""
    UPDATE intent SET leased_until = now() WHERE key IN (
        SELECT key FROM intent WHERE subject = :subject AND attempts > 0 AND holder IS NULL
        FOR UPDATE SKIP LOCKED)
""")


async def write(session: AsyncSession, intended: Sequence[Due], lease: float, holder: UUID) -> list[Due]:
    """Insert the intents in one statement. Returns those that are new, whose calls are to be made.

    `lease`: seconds that this process has for the calls; `holder`: this process.
    """
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
    """Repeat the calls about a subject whose outcome is unknown at the next poll, without waiting for the end
    of their delay: for example, a webhook hinted that the outcome is known by now."""
    await session.execute(_RETRY_NOW, {"subject": subject})


async def delete_settled(session: AsyncSession, due: Sequence[Due], holder: UUID) -> set[str]:
    """Delete intents whose outcome is known. Returns the keys of those that `holder` still had leased;
    another process has the others, and settles them with the outcome of its own call."""
    keys = [d.intent.key for d in due]
    return set((await session.execute(_DELETE, {"keys": keys, "holder": holder})).scalars())


async def lease_available(engine: AsyncEngine, lease: float, limit: int, holder: UUID) -> list[Due]:
    """Lease up to `limit` intents for `lease` seconds whose earlier lease or delay is over: retries that are
    due, and intents of processes that crashed."""
    async with engine.begin() as connection:
        rows = await connection.execute(_LEASE, {"lease": lease, "limit": limit, "holder": holder})
        return [
            Due(Intent(row.kind, row.subject, row.payload), row.attempts, row.causation_id, row.traceparent)
            for row in rows
        ]


async def extend_leases(engine: AsyncEngine, keys: Sequence[str], lease: float, holder: UUID) -> set[str]:
    """Extend `holder`'s leases to `lease` seconds from now. Returns the keys of those that it still had."""
    async with engine.begin() as connection:
        extended = await connection.execute(_EXTEND, {"keys": list(keys), "lease": lease, "holder": holder})
        return set(extended.scalars())


async def postpone(engine: AsyncEngine, due: Due, error: str, delay: float, holder: UUID) -> None:
    """Record that a call's outcome is unknown, and why; the call is due again in `delay` seconds."""
    async with engine.begin() as connection:
        await connection.execute(
            _POSTPONE, {"key": due.intent.key, "error": error, "delay": delay, "holder": holder}
        )


async def release(engine: AsyncEngine, due: Sequence[Due], holder: UUID) -> None:
    """Give up leases: any process may make these calls now."""
    async with engine.begin() as connection:
        await connection.execute(_RELEASE, {"keys": [d.intent.key for d in due], "holder": holder})
