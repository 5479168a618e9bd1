"""When processes look for rows that no process has leased: a poll that is slow while nothing happens, and
notifications that wake it across processes.

A notification is only a hint. One that is lost, for example behind a connection pooler that does not support
them, costs the time until the next poll. Source: PostgreSQL's documentation of NOTIFY and LISTEN.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal

import asyncpg
import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.storage.raw_sql import fetch
from chassis.telemetry.privacy import reason

log = structlog.get_logger()

CHANNEL = "unleased_rows"

# A row may be due now and locked, or there may be no room for it: it is looked for again after this time.
SOON_SECONDS = 0.2
# Transactions that commit within this time share a notification.
_LINGER_SECONDS = 0.02
_CHECK_SECONDS = 30
_ANSWER_SECONDS = 5
_RECONNECT_SECONDS = (1.0, 3.0)


class Poll:
    """Looks for due rows: when the next one is due, when `within` asks for it, and after `longest` seconds at
    the latest.

    `name`: what is looked for, for the log.
    `look`: handles the due rows, and returns the seconds until the next one is due, or `None` if there is
        none.
    """

    def __init__(self, name: str, longest: float, look: Callable[[], Awaitable[float | None]]) -> None:
        self._name = name
        self._longest = longest
        self._look = look
        self._at = 0.0
        self._sooner = asyncio.Event()

    def within(self, seconds: float) -> None:
        """Look for due rows in `seconds` at the latest."""
        at = asyncio.get_running_loop().time() + seconds
        if at < self._at:
            self._at = at
            self._sooner.set()

    async def run(self) -> None:
        """Poll until cancelled. When a round fails, that is logged."""
        loop = asyncio.get_running_loop()
        while True:
            while (left := self._at - loop.time()) > 0:
                self._sooner.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._sooner.wait(), left)
            self._at = loop.time() + self._longest * random.uniform(0.8, 1.2)
            try:
                due = await self._look()
            except Exception:
                log.exception("poll failed", name=self._name)
            else:
                if due is not None:
                    self.within(max(due, min(SOON_SECONDS, self._longest)))


async def due_in(engine: AsyncEngine, table: Literal["outbox", "intent"]) -> float | None:
    """Seconds until the lease or the delay of some row is over; `None` if the table is empty."""
    query = f"SELECT extract(epoch FROM min(leased_until) - clock_timestamp())::float8 FROM {table}"  # noqa: S608
    left: float | None
    [[left]] = await fetch(engine, query)
    return left


class Notifier:
    """In place of a relay and a runner in a process that has none: notifies the workers of other processes of
    rows that are committed for them."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._committed = asyncio.Event()

    def has_room(self) -> bool:
        return False

    def wake(self, committed: list[Any]) -> None:
        raise AssertionError("this process leases no rows")

    def note_unleased(self) -> None:
        self._committed.set()

    async def run(self) -> None:
        """Notify until cancelled: outside the transactions, because a NOTIFY in one makes all commits of the
        database wait for each other."""
        while True:
            await self._committed.wait()
            self._committed.clear()
            try:
                async with self._engine.connect() as connection:
                    await connection.execute(text(f"NOTIFY {CHANNEL}"))
            except Exception as error:
                log.warning("workers not notified, their next poll finds the rows", error=reason(error))
            await asyncio.sleep(_LINGER_SECONDS)


async def listen(engine: AsyncEngine, wake: Callable[[], None]) -> None:
    """Call `wake` at every notification, until cancelled. A broken connection is replaced by a new one."""
    while True:
        try:
            async with _listening(engine, wake) as (connection, broken):
                wake()  # for notifications that came while there was no connection
                while not broken.is_set():
                    with suppress(TimeoutError):
                        await asyncio.wait_for(broken.wait(), _CHECK_SECONDS)
                    await connection.execute("SELECT 1", timeout=_ANSWER_SECONDS)
        except (OSError, SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("not notified of rows, polling only", error=reason(error))
        await asyncio.sleep(random.uniform(*_RECONNECT_SECONDS))


@asynccontextmanager
async def _listening(
    engine: AsyncEngine, wake: Callable[[], None]
) -> AsyncIterator[tuple[asyncpg.Connection, asyncio.Event]]:
    """A connection that the pool makes and gives up: it is kept for as long as the process runs. Also an
    event that is set when it breaks."""
    async with engine.connect() as detached:
        pooled = await detached.get_raw_connection()
        connection: asyncpg.Connection = pooled.driver_connection
        pooled.detach()
        broken = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: broken.set())
            await connection.add_listener(CHANNEL, lambda *_: wake())
            yield connection, broken
        finally:
            connection.terminate()
