"""The service's database: its engine, the chassis' own tables, and transactions that publish."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar
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


def connect(
    url: str,
    *,
    pool_size: int,
    statement_timeout: float,
    lock_timeout: float | None = None,
    timeout: float | None = None,
) -> AsyncEngine:
    """An engine whose waits all end, in seconds: for a lock, then for a statement, then for any answer.

    `url` is `postgresql+asyncpg://…`. A statement that takes too long is ended by the server, well before the
    client gives up: so the one is told from the other, a fault of the work from a database that is away.
    Unless given, a lock has two fifths of a statement's time and an answer twice as long. Raises `ValueError`
    where the limits are not in that sequence.
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
        hide_parameters=True,  # an error is logged, and what it is about may be private
        connect_args={
            "timeout": timeout,
            "command_timeout": timeout,
            "server_settings": {
                "statement_timeout": _milliseconds(statement_timeout),
                "lock_timeout": _milliseconds(lock_timeout),
                "idle_in_transaction_session_timeout": _milliseconds(timeout),
                "jit": "off",
                "plan_cache_mode": "force_generic_plan",  # each statement here has one good plan
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
    """A JSONB column that holds what a pydantic `TypeAdapter` of `type_` reads and writes."""

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
    """`Tx` over PostgreSQL: an identity map, rows locked as they are loaded, one flush at the end."""

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
        """Write what was added: a statement per table."""
        await self.session.flush()
        for row_type in sorted(self._once, key=lambda t: t.__name__):
            insertion = _insertion(row_type)
            rows = [{name: getattr(row, name) for name in insertion.names} for row in self._once[row_type]]
            rows.sort(key=insertion.key)  # whoever else adds these waits for them in the same sequence
            await (await self.session.connection()).execute(insertion.statement, rows)

    def publish(self, *events: Event, cause: Cause | None = None) -> None:
        id_ = self.cause if cause is None else cause.id
        trace = current_traceparent() if cause is None else cause.traceparent
        self.outbox += [outbox.envelope(event, self._source, self.now, id_, trace) for event in events]

    def intend(self, *intended: Intent) -> None:
        for intent in intended:
            self.intents.append(intents.Due(intent, 0, self.cause, current_traceparent()))

    def retry_now(self, subject: UUID) -> None:
        self.retry_now_subjects.add(subject)

    async def lock(self, pairs: Iterable[tuple[type, Any]]) -> None:
        """Load and lock the rows of many steps at once: a statement per table, sorted by key."""
        keys: dict[type, list[Any]] = {}
        for row_type, key in pairs:
            keys.setdefault(row_type, []).append(key)
        for row_type in sorted(keys, key=lambda t: t.__name__):
            await self.get_many(row_type, keys[row_type])

    def handling(self, envelope: Envelope) -> None:
        """From here on the transaction works on this message."""
        self.envelope = envelope
        self.cause = envelope.id


class Transactions:
    """Opens transactions; after each commit it hands what is to be sent to whoever listens.

    The outbox and intent rows are committed as leased by this process, so that it can send them at once
    without reading them back; if it dies, the lease runs out and anybody's poll finds them. What whoever
    listens has no room for is committed without a lease, for the poll. `holder` names this process.
    """

    def __init__(self, engine: AsyncEngine, source: str, *, lease: float) -> None:
        self.engine = engine
        self.holder = uuid4()
        self._source = source
        self._lease = lease
        self.on_outbox: Callable[[list[Envelope]], None] = _nobody
        self.on_intents: Callable[[list[intents.Due]], None] = _nobody
        self.outbox_has_room: Callable[[], bool] = _always
        self.intents_have_room: Callable[[], bool] = _always

    def outbox_lease(self) -> float:
        """Seconds that this process has to publish what it commits now; with 0 it is left to the poll."""
        return self._lease if self.outbox_has_room() else 0

    def intent_lease(self) -> float:
        """Likewise for calls."""
        return self._lease if self.intents_have_room() else 0

    async def run(self, *parts: Part, select: str) -> Mapping[str, Any]:
        """Commit a statement that is composed of these parts, in one round trip; see `composed.run`."""
        return await composed.run(self.engine, parts, select)

    def publishing(self, event: Event, time: datetime, *, given: str) -> Part:
        """Of a composed statement: publish the event if the part `given` has a row."""
        lease = self.outbox_lease()
        envelope = outbox.envelope(event, self._source, time, None, current_traceparent())

        def send() -> None:
            if lease:
                self.on_outbox([envelope])

        return outbox.part(envelope, lease, given, send)

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[SqlTx]:
        """Commits on leaving the block, rolls back when it raises."""
        async with AsyncSession(self.engine, expire_on_commit=False, autoflush=False) as session:
            tx = SqlTx(session, self._source)
            yield tx
            await tx.flush()
            saying, calling = self.outbox_lease(), self.intent_lease()
            said = await outbox.write(session, tx.outbox, saying) if tx.outbox else []
            due = await intents.write(session, tx.intents, calling, self.holder) if tx.intents else []
            for subject in tx.retry_now_subjects:
                await intents.retry_now(session, subject)
            await session.commit()
        if said and saying:
            self.on_outbox(said)
        if due and calling:
            self.on_intents(due)


@dataclass(frozen=True)
class _Insertion:
    """How rows of a type are inserted where their keys are free; each column has its field's name."""

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


def _nobody(_: Any) -> None:
    pass


def _always() -> bool:
    return True


def _any(column: Any, keys: list[Any]) -> Any:
    """One array parameter whatever the number of keys, so that one prepared statement serves all."""
    return any_(bindparam(None, keys, type_=sql.ARRAY(column.type)))
