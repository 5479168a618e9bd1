"""Distinguishes an outage of the database, which waiting resolves, from an error that waiting does not
resolve."""

import asyncpg
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout

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


def is_outage(error: BaseException) -> bool:
    """Whether the database is unavailable or overloaded, by SQLAlchemy's error or, with raw SQL, by the
    driver's. Source: PostgreSQL, appendix A, error codes."""
    if isinstance(error, _AWAY):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return _state(error).startswith(_STATES)


def is_out_of_time(error: BaseException) -> bool:
    """Whether the database ended a statement because of `lock_timeout` or `statement_timeout`. A message then
    has one failed attempt more; an HTTP request gets 503, and may be repeated."""
    return _state(error) in _OUT_OF_TIME


def _state(error: BaseException) -> str:
    original = error.orig if isinstance(error, DBAPIError) else error
    return str(getattr(original, "sqlstate", None) or "")
