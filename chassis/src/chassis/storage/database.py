"""The service's database: its engine, the chassis' tables, and transactions that publish events and intend
remote calls."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import asyncpg
from pydantic import TypeAdapter
from sqlalchemy import Dialect, MetaData, Table
from sqlalchemy import types as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from chassis.messaging.envelope import Envelope
from chassis.saga import intents
from chassis.saga.tx import Event
from chassis.secret_files import PasswordFile
from chassis.storage import inbox, outbox, raw_sql
from chassis.storage.raw_sql import Part
from chassis.storage.tx import SqlTx
from chassis.telemetry.logs import current_traceparent
from chassis.tls import split_database_url

Committed = TypeVar("Committed")


def connect(
    url: str,
    *,
    password_file: PasswordFile | None = None,
    pool_size: int,
    statement_timeout: float,
    lock_timeout: float | None = None,
    timeout: float | None = None,
    read_only: bool = False,
) -> AsyncEngine:
    """A database engine of which every wait has a limit, in seconds.

    `url`: `postgresql+asyncpg://…`; with `sslrootcert` in it the connections are by verified TLS.
    `password_file`: has the password if the URL has none.
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
    address, tls = split_database_url(url)
    return create_async_engine(
        address,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=timeout,
        pool_reset_on_return="rollback",
        hide_parameters=True,  # errors are logged, and parameters may be personal data
        connect_args={
            **tls,
            "async_creator_fn": opening(password_file),
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


def opening(password_file: PasswordFile | None) -> Callable[..., Awaitable[asyncpg.Connection]]:
    """asyncpg's `connect`, with the password that the file has when it is called."""
    if password_file is None:
        return asyncpg.connect  # type: ignore[no-any-return]

    async def connect_with_password(*args: Any, **options: Any) -> asyncpg.Connection:
        def attempt(password: str) -> Awaitable[asyncpg.Connection]:
            return asyncpg.connect(*args, **options | {"password": password})  # type: ignore[no-any-return]

        return await password_file.connect(attempt, asyncpg.InvalidPasswordError)

    return connect_with_password


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))


def chassis_tables(metadata: MetaData) -> tuple[Table, Table, Table]:
    """Define the chassis' tables in the service's metadata. Returns inbox, outbox and intent."""
    inbox.started_table(metadata)
    return inbox.table(metadata), outbox.table(metadata), intents.table(metadata)


class Json(sql.TypeDecorator[Any]):
    """A JSONB column for values of `type_`, which a pydantic `TypeAdapter` converts. `None` is SQL's NULL."""

    impl = JSONB
    cache_ok = True

    def __init__(self, type_: Any) -> None:
        super().__init__(none_as_null=True)
        self.type_ = type_
        self._adapter = TypeAdapter(type_)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else self._adapter.dump_python(value, mode="json")

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else self._adapter.validate_python(value)


class AfterCommit(Protocol[Committed]):
    """Takes over what a transaction has committed: the relay its events, the runner its intents."""

    def has_room(self) -> bool:
        """Whether it can take more."""

    def wake(self, committed: list[Committed]) -> None:
        """Take it over; called after the commit."""

    def note_unleased(self) -> None:
        """Rows were committed that no process has leased; called after the commit."""


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
        """From now on, pass committed events to `relay` and committed intents to `runner`."""
        self._relay = relay or _Nothing()
        self._runner = runner or _Nothing()

    def outbox_lease(self) -> float:
        """Seconds that this process has to publish what it commits now; 0 leaves it to the poll."""
        return self._lease if self._relay.has_room() else 0

    def intent_lease(self) -> float:
        """Likewise, seconds for making the calls that it intends."""
        return self._lease if self._runner.has_room() else 0

    async def run(self, *parts: Part, select: str) -> Mapping[str, Any]:
        """Run and commit one statement composed of these parts; see `raw_sql.run`."""
        return await raw_sql.run(self.engine, parts, select)

    def publishing(self, event: Event, time: datetime, *, given: str) -> Part:
        """A part of a composed statement: publish the event if the part `given` returned a row."""
        lease = self.outbox_lease()
        envelope = outbox.envelope(event, self._source, time, None, current_traceparent())

        def send() -> None:
            if lease:
                self._relay.wake([envelope])
            else:
                self._relay.note_unleased()

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
        if events:
            self._relay.wake(events) if outbox_lease else self._relay.note_unleased()
        if due and intent_lease:
            self._runner.wake(due)
        elif due or tx.retry_now_subjects:
            self._runner.note_unleased()


class _Nothing:
    """In place of a relay or a runner that the process does not have."""

    def has_room(self) -> bool:
        return True

    def wake(self, committed: list[Any]) -> None:
        pass

    def note_unleased(self) -> None:
        pass
