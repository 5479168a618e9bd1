"""Runs single SQL statements directly on the driver, for hot paths: SQLAlchemy's layers cost three times as
much CPU as the statement itself."""

from collections.abc import Sequence
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.errors import Unavailable

_CONNECTION_LOST = (
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresConnectionError,
    OSError,
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
