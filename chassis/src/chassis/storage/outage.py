"""Telling an outage, which ends by waiting, from a fault in the work, which does not."""

import asyncpg
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# Class 08 connection exception, 53 insufficient resources, 57 operator intervention (shutdown, not yet up).
_STATES = ("08", "53", "57P")
_OUT_OF_TIME = ("55P03", "57014")  # lock not available, query canceled
_AWAY = (
    OSError,
    TimeoutError,
    PoolTimeout,
    InterfaceError,
    AsyncAdapt_asyncpg_dbapi.InterfaceError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a statement on a connection whose server has just said goodbye
)


def is_outage(error: BaseException) -> bool:
    """Whether the database is away or overloaded, told by SQLAlchemy's error or, past its layers, by the
    driver's own. Source: PostgreSQL, appendix A, error codes."""
    if isinstance(error, _AWAY):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return _state(error).startswith(_STATES)


def is_out_of_time(error: BaseException) -> bool:
    """Whether the server ended a wait for a lock, or a statement: a message's own failed attempt; to whoever
    asks over HTTP, a reason to ask again."""
    return _state(error) in _OUT_OF_TIME


def _state(error: BaseException) -> str:
    told = error.orig if isinstance(error, DBAPIError) else error
    return str(getattr(told, "sqlstate", None) or "")
