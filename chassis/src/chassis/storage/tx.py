"""A step's transaction on PostgreSQL."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ARRAY, any_, bindparam, inspect, select
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.messaging.envelope import Envelope
from chassis.saga import intents
from chassis.saga.tx import Cause, Event, Intent, key_field, key_of
from chassis.storage import outbox
from chassis.telemetry.logs import current_traceparent

Row = TypeVar("Row")


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
            self._loaded |= {(row_type, key): None for key in missing}
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
        # All keys are one array parameter, so that one prepared statement serves any number of keys.
        wanted = any_(bindparam(None, keys, type_=ARRAY(column.type)))
        query = select(row_type).where(column == wanted).order_by(column)
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
