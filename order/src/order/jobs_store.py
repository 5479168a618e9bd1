"""The queries of the periodic jobs. Each locks the rows that it returns until the commit, and skips rows that
others have locked: the next round handles them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

_EXPIRED = text("""
    SELECT order_id FROM orders WHERE status = 'pending' AND deadline < :now
    LIMIT :limit FOR UPDATE SKIP LOCKED
""")

SLOW_PENDING = text("""
    SELECT order_id FROM orders
    WHERE status = 'pending' AND created_at < :before
        AND coalesce(nudge_at, created_at) < :now
        AND coalesce(action_expires_at, created_at) < :now  -- the shopper has time to confirm with her bank
    ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED
""")

# Orders older than `after` are not nudged: services may have deleted what they know of the order, and would
# handle the republished event as a new one.
UNCOMPENSATED = text("""
    SELECT order_id, ARRAY(SELECT type FROM timeline WHERE timeline.order_id = orders.order_id) AS types
    FROM orders
    WHERE status = 'cancelled' AND NOT undone
        AND cancelled_at BETWEEN :after AND :before
        AND coalesce(nudge_at, cancelled_at) < :now
    ORDER BY cancelled_at LIMIT :limit FOR UPDATE OF orders SKIP LOCKED
""")

# A restock or a refund of a return is still missing.
OPEN_RETURNS = text("""
    SELECT order_id FROM orders
    WHERE returning_since BETWEEN :after AND :before
        AND coalesce(nudge_at, returning_since) < :now
    ORDER BY returning_since LIMIT :limit FOR UPDATE SKIP LOCKED
""")

_FORGET_NETWORKS = text("""
    UPDATE orders SET network = NULL FROM (
        SELECT order_id FROM orders WHERE network IS NOT NULL AND declined_at < :before
        LIMIT :limit FOR UPDATE SKIP LOCKED
    ) AS old
    WHERE orders.order_id = old.order_id
""")


async def lock_expired(session: AsyncSession, now: datetime, limit: int) -> Sequence[UUID]:
    """Pending orders past their deadline."""
    return (await session.execute(_EXPIRED, {"now": now, "limit": limit})).scalars().all()


async def lock_stuck(
    session: AsyncSession, query: TextClause, now: datetime, *, pause: timedelta, keep: timedelta, limit: int
) -> Sequence[Any]:
    """The rows of `SLOW_PENDING`, `UNCOMPENSATED` or `OPEN_RETURNS`, the oldest first: orders that have been
    stuck for longer than `pause`, but not than `keep`, and are due for a nudge."""
    parameters = {"now": now, "before": now - pause, "after": now - keep, "limit": limit}
    return (await session.execute(query, parameters)).all()


async def forget_networks(session: AsyncSession, before: datetime, limit: int) -> int:
    """Forget the networks of at most `limit` orders that were declined before then. Returns how many there
    were."""
    result = await session.execute(_FORGET_NETWORKS, {"before": before, "limit": limit})
    return cast("CursorResult[Any]", result).rowcount
