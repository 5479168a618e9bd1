"""The service's database: its engine, the chassis' tables, and transactions that publish events and intend
remote calls."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cache
from typing import Any, Protocol, TypeVar
from uuid import UUID, uuid4

from pydantic import TypeAdapter
from sqlalchemy import Dialect, MetaData, Table, any_, bindparam, inspect, select
from sqlalchemy import types as sql
from sqlalchemy.dialects.postgresql import JSONB, Insert, insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from chassis.messaging.envelope import Envelope
from chassis.saga import intents
from chassis.saga.event import Event
from chassis.saga.tx import Cause, Intent, key_field, key_of
from chassis.storage import composed, inbox, outbox, started
from chassis.storage.composed import Part
from chassis.telemetry.logs import current_traceparent

Row = TypeVar("Row")
Committed = TypeVar("Committed")


def connect(
    url: str,
    *,
    pool_size: int,
    statement_timeout: float,
    lock_timeout: float | None = None,
    timeout: float | None = None,
    read_only: bool = False,
) -> AsyncEngine:
    """A database engine of which every wait has a limit, in seconds.

    `url`: `postgresql+asyncpg://…`.
    `statement_timeout`: the server ends a statement that takes longer.
    `lock_timeout`: the server ends a statement that waits longer for a lock; two fifths of
        `statement_timeout` unless given.
    `timeout`: without any reply for so long, the client gives up; twice `statement_timeout` unless given.
    `read_only`: the server refuses every statement that writes.

    The server's limits end well before the client's: so a slow statement is not taken for an outage. Raises
    `ValueError` unless `lock_timeout` < `statement_timeout` < `timeout`.
    """
    lock_timeout = statement_timeout * 2 / 5 if lock_timeout is None else lock_timeout
    timeout = statement_timeout * 2 if timeout is None else timeout
    if not lock_timeout < statement_timeout < timeout:
        raise ValueError("lock_timeout must be less than statement_timeout, and that less than timeout")
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=timeout,
        pool_reset_on_return="rollback",
        hide_parameters=True,  # errors are logged, and parameters may be personal data
        connect_args={
            "timeout": timeout,
            "command_timeout": timeout,
            "server_settings": {
                "statement_timeout": _milliseconds(statement_timeout),
                "lock_timeout": _milliseconds(lock_timeout),
                "idle_in_transaction_session_timeout": _milliseconds(timeout),
                "default_transaction_read_only": "on" if read_only else "off",
                "jit": "off",
                "plan_cache_mode": "force_generic_plan",  # no statement here gains from a plan for its values
            },
        },
    )


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))


def chassis_tables(metadata: MetaData) -> tuple[Table, Table, Table]:
    """Define the chassis' tables in the service's metadata. Returns inbox, outbox and intent."""
    started.table(metadata)
    return inbox.table(metadata), outbox.table(metadata), intents.table(metadata)


class Json(sql.TypeDecorator[Any]):
    """A JSONB column for values of `type_`, which a pydantic `TypeAdapter` converts."""

    impl = JSONB
    cache_ok = True

    def __init__(self, type_: Any) -> None:
        super().__init__()
        self.type_ = type_
        self._adapter = TypeAdapter(type_)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else self._adapter.dump_python(value, mode="json")

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else self._adapter.validate_python(value)


class SqlTx:
    """`Tx` on PostgreSQL: each row is loaded once and locked; changes are written before the commit."""

    def __init__(self, session: AsyncSession, source: str) -> None:
        self.session = session
        self.now = datetime.now(UTC)
        self.envelope: Envelope | None = None
        self.outbox: list[Envelope] = []
        self.intents: list[intents.Due] = []
        self.retry_now_subjects: set[UUID] = set()
        self.cause: str | None = None
        self._source = source
        self._loaded: dict[tuple[type, Any], Any] = {}
        self._once: dict[type, list[Any]] = {}

    async def get(self, row_type: type[Row], key: Any) -> Row | None:
        if (row_type, key) not in self._loaded:
            await self.get_many(row_type, [key])
        row: Row | None = self._loaded[row_type, key]
        return row

    async def get_many(self, row_type: type[Row], keys: Iterable[Any]) -> dict[Any, Row]:
        wanted = list(dict.fromkeys(keys))
        missing = [key for key in wanted if (row_type, key) not in self._loaded]
        if missing:
            for key in missing:
                self._loaded[row_type, key] = None
            await self._load(row_type, missing)
        found = ((key, self._loaded[row_type, key]) for key in wanted)
        return {key: row for key, row in found if row is not None}

    async def get_free(self, row_type: type[Row], keys: Iterable[Any]) -> dict[Any, Row]:
        wanted = list(dict.fromkeys(keys))
        missing = [key for key in wanted if self._loaded.get((row_type, key)) is None]
        if missing:
            await self._load(row_type, missing, skip_locked=True)
        found = ((key, self._loaded.get((row_type, key))) for key in wanted)
        return {key: row for key, row in found if row is not None}

    async def _load(self, row_type: type[Any], keys: list[Any], *, skip_locked: bool = False) -> None:
        column = inspect(row_type).primary_key[0]
        query = select(row_type).where(column == _any(column, keys)).order_by(column)
        for row in await self.session.scalars(query.with_for_update(skip_locked=skip_locked)):
            self._loaded[row_type, getattr(row, key_field(row_type))] = row

    def add(self, row: Any) -> None:
        self._loaded[type(row), key_of(row)] = row
        self.session.add(row)

    def add_once(self, row: Any) -> None:
        self._once.setdefault(type(row), []).append(row)

    async def flush(self) -> None:
        """Write changed and added rows, in a statement per table."""
        await self.session.flush()
        for row_type in sorted(self._once, key=lambda t: t.__name__):
            insertion = _insertion(row_type)
            rows = [{name: getattr(row, name) for name in insertion.names} for row in self._once[row_type]]
            rows.sort(key=insertion.key)  # always in the same sequence, against deadlocks
            await (await self.session.connection()).execute(insertion.statement, rows)

    def publish(self, *events: Event, cause: Cause | None = None) -> None:
        cause_id = self.cause if cause is None else cause.id
        trace = current_traceparent() if cause is None else cause.traceparent
        self.outbox += [outbox.envelope(event, self._source, self.now, cause_id, trace) for event in events]

    def intend(self, *intended: Intent) -> None:
        for intent in intended:
            self.intents.append(intents.Due(intent, 0, self.cause, current_traceparent()))

    def retry_now(self, subject: UUID) -> None:
        self.retry_now_subjects.add(subject)

    async def lock(self, pairs: Iterable[tuple[type, Any]]) -> None:
        """Load and lock the rows of many steps at once, in a statement per table, sorted by key."""
        keys: dict[type, list[Any]] = {}
        for row_type, key in pairs:
            keys.setdefault(row_type, []).append(key)
        for row_type in sorted(keys, key=lambda t: t.__name__):
            await self.get_many(row_type, keys[row_type])

    def handling(self, envelope: Envelope) -> None:
        """Set the message that the transaction handles from now on."""
        self.envelope = envelope
        self.cause = envelope.id


class AfterCommit(Protocol[Committed]):
    """Takes over what a transaction has committed: the relay its events, the runner its intents."""

    def has_room(self) -> bool:
        """Whether it can take more."""

    def wake(self, committed: list[Committed]) -> None:
        """Take it over; called after the commit."""


class Transactions:
    """Opens transactions.

    Outbox and intent rows are committed as leased by this process: after the commit, the relay publishes the
    events and the runner makes the calls at once, without reading them back. If the process dies, the leases
    run out, and another process's poll finds the rows. Rows for which relay or runner have no room are
    committed without a lease, for the poll.

    `source`: the service's name, which events carry as their source.
    `lease`: seconds that rows are leased for; with 0 they are left to the polls of other processes.

    `holder` identifies this process.
    """

    def __init__(self, engine: AsyncEngine, source: str, *, lease: float) -> None:
        self.engine = engine
        self.holder = uuid4()
        self._source = source
        self._lease = lease
        self._relay: AfterCommit[Envelope] = _Nothing()
        self._runner: AfterCommit[intents.Due] = _Nothing()

    def after_commit(
        self, *, relay: AfterCommit[Envelope] | None = None, runner: AfterCommit[intents.Due] | None = None
    ) -> None:
        """From now on, hand committed events to `relay` and committed intents to `runner`."""
        self._relay = relay or _Nothing()
        self._runner = runner or _Nothing()

    def outbox_lease(self) -> float:
        """Seconds that this process has to publish what it commits now; 0 leaves it to the poll."""
        return self._lease if self._relay.has_room() else 0

    def intent_lease(self) -> float:
        """Likewise, seconds for making the calls that it intends."""
        return self._lease if self._runner.has_room() else 0

    async def run(self, *parts: Part, select: str) -> Mapping[str, Any]:
        """Run and commit one statement composed of these parts; see `composed.run`."""
        return await composed.run(self.engine, parts, select)

    def publishing(self, event: Event, time: datetime, *, given: str) -> Part:
        """A part of a composed statement: publish the event if the part `given` returned a row."""
        lease = self.outbox_lease()
        envelope = outbox.envelope(event, self._source, time, None, current_traceparent())

        def send() -> None:
            if lease:
                self._relay.wake([envelope])

        return outbox.part(envelope, lease, given, send)

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[SqlTx]:
        """A transaction that commits at the end of the block, and rolls back if that raises."""
        async with AsyncSession(self.engine, expire_on_commit=False, autoflush=False) as session:
            tx = SqlTx(session, self._source)
            yield tx
            await tx.flush()
            outbox_lease, intent_lease = self.outbox_lease(), self.intent_lease()
            events = await outbox.write(session, tx.outbox, outbox_lease) if tx.outbox else []
            due = await intents.write(session, tx.intents, intent_lease, self.holder) if tx.intents else []
            for subject in tx.retry_now_subjects:
                await intents.retry_now(session, subject)
            await session.commit()
        if events and outbox_lease:
            self._relay.wake(events)
        if due and intent_lease:
            self._runner.wake(due)


@dataclass(frozen=True)
class _Insertion:
    """How rows of a type are inserted unless their keys exist; a column has the name of its field."""

    statement: Insert
    names: tuple[str, ...]
    key: Callable[[dict[str, Any]], tuple[str, ...]]


@cache
def _insertion(row_type: type) -> _Insertion:
    table: Any = inspect(row_type).local_table
    key = tuple(column.key for column in table.primary_key)
    return _Insertion(
        insert(table).on_conflict_do_nothing(),
        tuple(field.name for field in fields(row_type)),
        lambda row: tuple(str(row[name]) for name in key),
    )


class _Nothing:
    """In place of a relay or a runner that the process does not have."""

    def has_room(self) -> bool:
        return True

    def wake(self, committed: list[Any]) -> None:
        pass


def _any(column: Any, keys: list[Any]) -> Any:
    """All keys as one array parameter, so that one prepared statement serves any number of keys."""
    return any_(bindparam(None, keys, type_=sql.ARRAY(column.type)))
