"""The operators' audit: who did what to the shop's messages, when and why, with the state before and after.

An entry is written before the action and closed after it, so that interrupted actions are known.
It has a database of its own, `operations`, which no service may connect to.
"""

import getpass
import json
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Any, Literal

import asyncpg

from chassis.telemetry.privacy import reason
from shop.errors import ShopError
from shop.targets import Target
from shop.terminal import json_default

DATABASE = "operations"
State = Literal["begun", "published", "done", "failed"]
_TIMEOUT_SECONDS = 10
_CREATING = 701_001  # any constant: the lock under which database and table are made
_TABLE = """
    CREATE TABLE IF NOT EXISTS action (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL DEFAULT now(),
        ended_at timestamptz,
        who text NOT NULL,
        action text NOT NULL,
        order_id text,
        queue text,
        letter_id text,
        message_id text,
        why text NOT NULL,
        before jsonb,
        after jsonb,
        state text NOT NULL DEFAULT 'begun' CHECK (state IN ('begun', 'published', 'done', 'failed')),
        error text
    );
    CREATE INDEX IF NOT EXISTS action_order ON action (order_id);
    CREATE INDEX IF NOT EXISTS action_letter ON action (letter_id);
    CREATE INDEX IF NOT EXISTS action_message ON action (queue, message_id);
    CREATE INDEX IF NOT EXISTS action_open ON action (id) WHERE state IN ('begun', 'published');
"""


@dataclass(frozen=True)
class AuditedAction:
    """What an operator is about to do, and why. `before` and `after` are JSON values.

    An action on a dead letter names its queue (the one that it died in), the letter and its message id.
    """

    action: str
    why: str
    order_id: str | None = None
    queue: str | None = None
    letter_id: str | None = None
    message_id: str | None = None
    before: Any = None
    after: Any = None


@dataclass(frozen=True, kw_only=True)
class Entry(AuditedAction):
    """An action as the audit has it. `published`: the broker has confirmed the copy of a dead letter, its
    original may still be there. `error` is the reason if it failed."""

    id: int
    at: datetime
    ended_at: datetime | None
    who: str
    state: State
    error: str | None


class Audit:
    """`async with Audit.opened(target, operator()) as audit, audit.record(action): …`."""

    def __init__(self, connection: Any, who: str) -> None:
        self.connection = connection
        self.who = who

    @classmethod
    @asynccontextmanager
    async def opened(cls, target: Target, who: str) -> AsyncIterator["Audit"]:
        """The database is created on first use. Raises ShopError if PostgreSQL does not answer."""
        try:
            await _ensure_database(target)
        except (OSError, TimeoutError, asyncpg.PostgresError) as error:
            raise _unavailable(error) from error
        async with cls.connected(target.operator_dsn(DATABASE), who) as audit:
            yield audit

    @classmethod
    @asynccontextmanager
    async def connected(cls, dsn: str, who: str) -> AsyncIterator["Audit"]:
        """In a database that is there; its table is made if it is not."""
        try:
            connection = await _connect(dsn, who)
        except (OSError, TimeoutError, asyncpg.PostgresError) as error:
            raise _unavailable(error) from error
        try:
            encoder = partial(json.dumps, default=json_default)
            await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=encoder, decoder=json.loads)
            async with connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock($1)", _CREATING)
                await connection.execute(_TABLE)
            yield cls(connection, who)
        finally:
            await connection.close()

    @asynccontextmanager
    async def record(self, action: AuditedAction) -> AsyncIterator[int]:
        """Begun on entering, done on leaving, failed with its reason on an error. If the process dies in
        between it stays begun."""
        number = await self.begin(action)
        try:
            yield number
        except Exception as error:
            await self.mark(number, "failed", reason(error))
            raise
        await self.mark(number, "done")

    async def begin(self, action: AuditedAction) -> int:
        """Write the entry before the action. Returns its number."""
        row = asdict(action) | {"who": self.who}
        places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
        number: int = await self.connection.fetchval(
            f"INSERT INTO action ({', '.join(row)}) VALUES ({places}) RETURNING id",  # noqa: S608  our names
            *row.values(),
        )
        return number

    async def mark(self, number: int, state: State, error: str | None = None) -> None:
        """Record the entry's state."""
        await self.connection.execute(
            """UPDATE action SET state = $2, error = $3,
                   ended_at = CASE WHEN $2 IN ('done', 'failed') THEN now() END WHERE id = $1""",
            number,
            state,
            error,
        )

    async def entries(self, *, limit: int, order_id: str | None = None) -> list[Entry]:
        """The newest, oldest of them first; of one order if that is given."""
        found = await self._entries(
            "WHERE $1::text IS NULL OR order_id = $1 ORDER BY id DESC LIMIT $2", order_id, limit
        )
        return found[::-1]

    async def entry(self, number: int) -> Entry:
        """Raises ShopError when there is none of that number."""
        found = await self._entries("WHERE id = $1", number)
        if not found:
            raise ShopError(f"no action {number} in the audit: `shop audit list` shows them")
        return found[0]

    async def unfinished(self) -> list[Entry]:
        """Actions on dead letters that were interrupted, or are in progress."""
        return await self._entries(
            "WHERE state IN ('begun', 'published') AND letter_id IS NOT NULL ORDER BY id"
        )

    async def handled(self, letter_ids: Sequence[str]) -> set[str]:
        """Which of these dead letters were handled: if one is still queued, its acknowledgement was lost."""
        rows = await self.connection.fetch(
            "SELECT letter_id FROM action WHERE letter_id = ANY($1) AND state IN ('published', 'done')",
            letter_ids,
        )
        return {row["letter_id"] for row in rows}

    async def of_messages(self, queues: Sequence[str], message_ids: Sequence[str]) -> list[Entry]:
        """What was done with messages, each named by its queue and its id, oldest first."""
        return await self._entries(
            "WHERE (queue, message_id) IN (SELECT * FROM unnest($1::text[], $2::text[])) ORDER BY id",
            queues,
            message_ids,
        )

    async def _entries(self, where: str, *arguments: object) -> list[Entry]:
        rows = await self.connection.fetch(f"SELECT * FROM action {where}", *arguments)  # noqa: S608  ours
        return [Entry(**dict(row)) for row in rows]


def operator(name: str | None = None) -> str:
    """Who acts: the name given, else `SHOP_OPERATOR`, else user@host."""
    return name or os.environ.get("SHOP_OPERATOR") or f"{getpass.getuser()}@{socket.gethostname()}"


async def _ensure_database(target: Target) -> None:
    connection = await _connect(target.operator_dsn(), "audit")
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _CREATING)
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f'CREATE DATABASE "{DATABASE}"')
        await connection.execute(f'REVOKE ALL ON DATABASE "{DATABASE}" FROM PUBLIC')
    finally:
        await connection.close()


async def _connect(dsn: str, name: str) -> Any:
    return await asyncpg.connect(
        dsn,
        timeout=_TIMEOUT_SECONDS,
        command_timeout=_TIMEOUT_SECONDS,
        server_settings={"application_name": name},
    )


def _unavailable(error: Exception) -> ShopError:
    return ShopError(f"the operators' audit cannot be opened ({error!r}): see `shop status`")
