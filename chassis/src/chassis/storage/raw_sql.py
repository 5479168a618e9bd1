"""Single statements past SQLAlchemy's layers, which cost three times what the statement does."""

from collections.abc import Sequence
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.errors import Unavailable

_LOST = (
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresConnectionError,
    OSError,
)


async def fetch(engine: AsyncEngine, sql: str, *values: Any) -> Sequence[Any]:
    """The rows of one statement in a transaction of its own, as asyncpg has them: parameters are `$1`, JSON
    is text. Raises Unavailable while there is no database."""
    pooled = await engine.raw_connection()
    driver: Any = pooled.driver_connection
    done = False
    try:
        rows: Sequence[Any] = await driver.fetch(sql, *values)
        done = True
    except _LOST as error:
        raise Unavailable("The database does not answer.") from error
    finally:
        if done:
            pooled.close()
        else:
            pooled.invalidate()  # whatever went wrong, nobody else shall have this connection
    return rows
