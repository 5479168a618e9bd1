"""Telling an outage, which ends by waiting, from a fault in the work, which does not."""

from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# Class 08 connection exception, 53 insufficient resources, 57 operator intervention (shutdown, not yet up).
_STATES = ("08", "53", "57P")


def is_outage(error: BaseException) -> bool:
    """Whether the database is away or overloaded. Source: PostgreSQL, appendix A, error codes."""
    if isinstance(error, OSError | TimeoutError | PoolTimeout | InterfaceError):
        return True
    if isinstance(error, DBAPIError):
        state = getattr(error.orig, "sqlstate", None) or ""
        return error.connection_invalidated or state.startswith(_STATES)
    return False
