"""SQL directly on the driver, for hot paths: SQLAlchemy's layers cost three times as much CPU as a statement
itself, and a transaction of the ORM with four statements five times as much as one composed statement, mostly
for round trips. And the driver's errors: which of them are an outage of the database, which waiting resolves.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeVar

import asyncpg
import structlog
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.errors import Unavailable
from chassis.messaging.tasks import pauses
from chassis.telemetry.privacy import reason

log = structlog.get_logger()

T = TypeVar("T")

_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]+)\b")
_CONNECTION_LOST = (
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresConnectionError,
    OSError,
)
# Class 08 connection exception, 53 insufficient resources, 57P operator intervention (shutdown, not yet up).
_STATES = ("08", "53", "57P")
_OUT_OF_TIME = ("55P03", "57014")  # lock not available, query canceled
_AWAY = (
    OSError,
    TimeoutError,
    PoolTimeout,
    InterfaceError,
    AsyncAdapt_asyncpg_dbapi.InterfaceError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a statement on a connection that the server is closing
)


async def fetch(engine: AsyncEngine, sql: str, *values: Any) -> Sequence[Any]:
    """The rows of one statement, in a transaction of its own. As asyncpg has it, parameters are written `$1`,
    and JSON is returned as text. Raises Unavailable when the database does not answer."""
    pooled = await engine.raw_connection()
    driver: Any = pooled.driver_connection
    done = False
    try:
        rows: Sequence[Any] = await driver.fetch(sql, *values)
        done = True
    except _CONNECTION_LOST as error:
        raise Unavailable("The database does not answer.") from error
    finally:
        if done:
            pooled.close()
        else:
            pooled.invalidate()  # the connection may be in any state: do not return it to the pool
    return rows


@dataclass(frozen=True)
class Part:
    """A part of the statement: `WITH name AS (sql)`. It can select from the parts before it.

    `name`: how later parts refer to its rows.
    `sql`: a query, with parameters written as `:parameter`.
    `values`: the parameters' values.
    `done`: called after the commit if the query returned a row.
    """

    name: str
    sql: str
    values: Mapping[str, Any] = field(default_factory=dict)
    done: Callable[[], None] | None = None


async def run(engine: AsyncEngine, parts: Sequence[Part], select: str) -> Mapping[str, Any]:
    """Run and commit the statement. Returns its only row.

    `select`: the columns of that row and their source, for example `free.left FROM free`.
    Raises asyncpg's own errors, and Unavailable when the database does not answer.
    """
    watched = tuple(part.name for part in parts if part.done)
    sql, names = compose(tuple((part.name, part.sql) for part in parts), select, watched)
    [row] = await fetch(engine, sql, *(parts[n].values[name] for n, name in names))
    for part in parts:
        if part.done and row[f"did_{part.name}"]:
            part.done()
    result: Mapping[str, Any] = row
    return result


@lru_cache(maxsize=64)
def compose(
    parts: tuple[tuple[str, str], ...], select: str, watched: tuple[str, ...]
) -> tuple[str, tuple[tuple[int, str], ...]]:
    """The statement with numbered parameters, and for each number the part's index and the parameter's name.

    `watched`: the names of parts; the column `did_<name>` is whether that part returned a row.
    """
    names: list[tuple[int, str]] = []

    def numbered(n: int, sql: str) -> str:
        def number(found: re.Match[str]) -> str:
            if (n, found[1]) not in names:
                names.append((n, found[1]))
            return f"${names.index((n, found[1])) + 1}"

        return _PARAMETER.sub(number, sql)

    queries = ", ".join(f"{name} AS ({numbered(n, sql)})" for n, (name, sql) in enumerate(parts))
    columns, _, source = select.partition(" FROM ")
    columns += "".join(f", EXISTS (SELECT FROM {name}) AS did_{name}" for name in watched)
    return f"WITH {queries} SELECT {columns} FROM {source}", tuple(names)  # noqa: S608


def is_outage(error: BaseException) -> bool:
    """Whether the database is unavailable or overloaded, by SQLAlchemy's error or, with raw SQL, by the
    driver's. Source: PostgreSQL, appendix A, error codes."""
    if isinstance(error, _AWAY):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return _state(error).startswith(_STATES)


async def through_outages(work: Callable[[], Awaitable[T]]) -> T:
    """Do the work, and repeat it for as long as the database is unavailable. Returns its result."""
    for pause in pauses(0.1, 2):
        try:
            return await work()
        except Exception as error:
            if not is_outage(error):
                raise
            log.warning("database unavailable, retrying", error=reason(error))
        await asyncio.sleep(pause)
    raise AssertionError("there are pauses without end")


def is_out_of_time(error: BaseException) -> bool:
    """Whether the database ended a statement because of `lock_timeout` or `statement_timeout`. A message then
    has one failed attempt more; an HTTP request gets 503, and may be repeated."""
    return _state(error) in _OUT_OF_TIME


def _state(error: BaseException) -> str:
    original = error.orig if isinstance(error, DBAPIError) else error
    return str(getattr(original, "sqlstate", None) or "")
