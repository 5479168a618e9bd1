"""What is read of orders beyond one by its key: each a single statement, read as plain rows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

_COLUMNS = """order_id, shopper_id, status, reason, total, currency, lines, short, shipping, created_at,
    deadline, paid_at, cancelled_at, stock_released_at, voided_at, refunded_at"""

_FIND = text(f"SELECT {_COLUMNS} FROM orders WHERE order_id = :order_id")  # noqa: S608

_PAGE = f"SELECT {_COLUMNS} FROM orders WHERE {{0}} ORDER BY order_id DESC LIMIT :limit"  # noqa: S608

_CONDITIONS = {
    "shopper_id": "shopper_id = :shopper_id",
    "status": "status = :status",
    "ids": "order_id = ANY(CAST(:ids AS uuid[]))",
    "before": "order_id < :before",
}

_OWNER = text("SELECT shopper_id, status FROM orders WHERE order_id = :order_id")

_STORY = text("""
    SELECT shopper_id, event_id, type, said_by, time, causation_id, traceparent, data
    FROM orders LEFT JOIN timeline USING (order_id) WHERE order_id = :order_id ORDER BY time, event_id
""")

# `seen` lists types, comma-separated; an order meets each type once, so that names its events.
_NEWS = text("""
    SELECT n, orders.status, reason, event_id, type, said_by, time, causation_id, traceparent, data
    FROM unnest(CAST(:ids AS uuid[]), CAST(:statuses AS text[]), CAST(:seen AS text[]))
        WITH ORDINALITY AS stream (order_id, status, seen, n)
    JOIN orders USING (order_id)
    LEFT JOIN timeline ON timeline.order_id = stream.order_id
        AND type <> ALL (string_to_array(stream.seen, ','))
    WHERE orders.status <> stream.status OR type IS NOT NULL
    ORDER BY n, time, event_id
""")

_EXPIRED = text("""
    SELECT order_id FROM orders WHERE status = 'pending' AND deadline < :now
    LIMIT :limit FOR UPDATE SKIP LOCKED
""")

_OPEN = text("SELECT count(*) FROM orders WHERE shopper_id = :shopper_id AND status = 'pending'")


class Orders:
    """Reads for HTTP, outside any transaction."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def find(self, order_id: UUID) -> RowMapping | None:
        """The order, as `views` shows it."""
        rows = await self._read(_FIND, order_id=order_id)
        return rows[0] if rows else None

    async def owner(self, order_id: UUID) -> RowMapping | None:
        """Whose it is, and its status."""
        rows = await self._read(_OWNER, order_id=order_id)
        return rows[0] if rows else None

    async def page(self, limit: int, **filters: Any) -> Sequence[RowMapping]:
        """At most `limit` orders, newest first; a filter that is `None` is none."""
        given = {name: value for name, value in filters.items() if value is not None}
        where = " AND ".join(_CONDITIONS[name] for name in given) or "true"
        return await self._read(text(_PAGE.format(where)), limit=limit, **given)

    async def story(self, order_id: UUID) -> Sequence[RowMapping]:
        """The order's events with its owner in every row; none when there is no such order. An order that
        has no events yet is one row with nothing in it but the owner."""
        return await self._read(_STORY, order_id=order_id)

    async def news(
        self, ids: Sequence[UUID], statuses: Sequence[str], seen: Sequence[str]
    ) -> Sequence[RowMapping]:
        """What is new to each of these streams, `n` telling which (from 1), in order of time."""
        return await self._read(_NEWS, ids=ids, statuses=statuses, seen=seen)

    async def _read(self, query: Any, **values: Any) -> Sequence[RowMapping]:
        async with self._engine.connect() as connection:
            return (await connection.execute(query, values)).mappings().all()


async def lock_expired(session: AsyncSession, now: datetime, limit: int) -> Sequence[UUID]:
    """Pending orders past their deadline that nobody else is at, locked until the commit."""
    return (await session.execute(_EXPIRED, {"now": now, "limit": limit})).scalars().all()


async def count_open(session: AsyncSession, shopper_id: UUID) -> int:
    """How many orders of this shopper are pending."""
    return int((await session.execute(_OPEN, {"shopper_id": shopper_id})).scalar_one())
