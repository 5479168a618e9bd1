"""What is read of orders beyond one by its key: each a single statement, read as plain rows."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from chassis.storage.raw_sql import fetch

Row = Mapping[str, Any]

# Whose an order is: whoever claimed it, or the account that its guest has become, or who placed it.
_OWNER = """coalesce(
    claimed_by, (SELECT user_id FROM merged_guests WHERE guest_id = orders.shopper_id), orders.shopper_id)"""

_COLUMNS = f"""order_id, number, {_OWNER} AS shopper_id, status, reason, total, currency, lines::text,
    short::text, decline_reason, shipping::text, created_at, deadline, paid_at, fulfilled_at, cancelled_at,
    cancelled_by, stock_released_at, voided_at, refunded_at, returns::text, refunded_rest,
    late_refunds::text, disputes::text, action_url,
    action_expires_at"""

# An order is found by its id or by its number: `{key}` is the column.
_FIND = f"SELECT {_COLUMNS} FROM orders WHERE {{key}} = $1"  # noqa: S608

_FILTERS = {
    "status": "status = ${}",
    "ids": "order_id = ANY (${}::uuid[])",
    "number": "number = ${}",
    "before": "order_id < ${}",
}

# A page of one owner's orders is made of a page of each whose orders they are, all by an index. Who logs in
# afresh as ever more guests does not make every list longer for it.
_MOST_GUESTS = 500
_OWN = f"""order_id = ANY (ARRAY(
    SELECT placed.order_id FROM (
        SELECT {{owner}}::uuid AS placed_by
        UNION ALL (SELECT guest_id FROM merged_guests WHERE user_id = {{owner}}
            ORDER BY merged_at DESC LIMIT {_MOST_GUESTS})
    ) AS shoppers CROSS JOIN LATERAL (
        SELECT order_id FROM orders WHERE shopper_id = placed_by AND claimed_by IS NULL{{filters}}
        ORDER BY order_id DESC LIMIT $1
    ) AS placed
    UNION ALL (SELECT order_id FROM orders WHERE claimed_by = {{owner}}{{filters}}
        ORDER BY order_id DESC LIMIT $1)
)) AND {_OWNER} = {{owner}}"""  # noqa: S608

_WHOSE = f"SELECT order_id, {_OWNER} AS shopper_id, status FROM orders WHERE {{key}} = $1"  # noqa: S608

_STORY = f"""
    SELECT order_id, number, {_OWNER} AS shopper_id, event_id, type, said_by, time, causation_id, traceparent,
        data::text
    FROM orders LEFT JOIN timeline USING (order_id) WHERE {{key}} = $1 ORDER BY time, event_id
"""  # noqa: S608

# `seen` lists the names of events, comma-separated: a type names the one event of it that is about the order
# alone, any other event is named by its id.
_NAME = "CASE event_id WHEN type || '/' || timeline.order_id THEN type ELSE event_id END"
_STANDING = "CASE WHEN action_url IS NULL THEN orders.status ELSE 'asked' END"
_NEWS = f"""
    SELECT n, news.* FROM unnest($1::uuid[], $2::text[], $3::text[]) WITH ORDINALITY
        AS stream (order_id, standing, seen, n)
    CROSS JOIN LATERAL (
        SELECT {_STANDING} AS standing, orders.status, number, reason, orders.order_id,
            {_OWNER} AS shopper_id, action_url, action_expires_at, event_id, type, {_NAME} AS name, said_by,
            time, causation_id, traceparent, data::text
        FROM orders LEFT JOIN timeline
            ON timeline.order_id = stream.order_id AND {_NAME} <> ALL (string_to_array(stream.seen, ','))
        WHERE orders.order_id = stream.order_id AND ({_STANDING} <> stream.standing OR type IS NOT NULL)
        OFFSET 0  -- so that each stream's few rows are found by their keys, whatever the statistics say
    ) AS news
    ORDER BY n, time, event_id
"""  # noqa: S608

_EXPIRED = text("""
    SELECT order_id FROM orders WHERE status = 'pending' AND deadline < :now
    LIMIT :limit FOR UPDATE SKIP LOCKED
""")


_SLOW = text("""
    SELECT order_id FROM orders
    WHERE status = 'pending' AND created_at < :before
        AND coalesce(nudge_at, created_at) < :now
        AND coalesce(action_expires_at, created_at) < :now  -- who is asked by her bank has time to answer
    ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED
""")

# An order that a service may have forgotten is left alone: said again, it would be news.
_TO_UNDO = text("""
    SELECT order_id, ARRAY(SELECT type FROM timeline WHERE timeline.order_id = orders.order_id) AS told
    FROM orders
    WHERE status = 'cancelled' AND NOT undone
        AND cancelled_at BETWEEN :after AND :before
        AND coalesce(nudge_at, cancelled_at) < :now
    ORDER BY cancelled_at LIMIT :limit FOR UPDATE OF orders SKIP LOCKED
""")

# Not yet noted are a restock or a refund of a return.
_RETURNING = text("""
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

_STAFF_ACTIONS = """
    SELECT action, done_by, done_at, why, about::text FROM staff_action
    WHERE order_id = $1 ORDER BY done_at, action_id
"""


class Orders:
    """Reads for HTTP, outside any transaction; rows are as `views` shows them."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def find(self, order: UUID | str) -> Row | None:
        """The order with this id or number."""
        return _first(await self._of(_FIND, order))

    async def owner(self, order: UUID | str) -> Row | None:
        """The id of the order with this id or number, whose it is, and its status."""
        return _first(await self._of(_WHOSE, order))

    async def contact(self, number: str) -> str | None:
        """The sealed address with which the order with this number was placed."""
        found = _first(await fetch(self._engine, "SELECT contact FROM orders WHERE number = $1", number))
        return None if found is None else str(found["contact"])

    async def page(self, limit: int, *, owner: UUID | None = None, **filters: Any) -> Sequence[Row]:
        """At most `limit` orders, newest first, one owner's or everybody's. Filters: `status`, `ids`,
        `number`, `before` an id; one that is `None` is none."""
        given = {name: value for name, value in filters.items() if value is not None}
        conditions = [_FILTERS[name].format(n) for n, name in enumerate(given, 2)]
        values = [*given.values()]
        if owner is not None:
            values.append(owner)
            among = "".join(f" AND {condition}" for condition in conditions)
            conditions = [_OWN.format(owner=f"${len(values) + 1}", filters=among)]
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        query = f"SELECT {_COLUMNS} FROM orders {where} ORDER BY order_id DESC LIMIT $1"  # noqa: S608
        return await fetch(self._engine, query, limit, *values)

    async def story(self, order: UUID | str) -> Sequence[Row]:
        """The order's events with its owner in every row; none when there is no such order. An order that
        has no events yet is one row with nothing in it but the owner."""
        return await self._of(_STORY, order)

    async def staff_actions(self, order_id: UUID) -> Sequence[Row]:
        """What staff have done to the order, first things first."""
        return await fetch(self._engine, _STAFF_ACTIONS, order_id)

    async def news(self, ids: Sequence[UUID], standings: Sequence[str], seen: Sequence[str]) -> Sequence[Row]:
        """What is new to each of these streams, `n` telling which (from 1), in order of time. An order's
        `standing` is its status, or `asked` while its shopper is to confirm with her bank."""
        return await fetch(self._engine, _NEWS, ids, standings, seen)

    async def _of(self, query: str, order: UUID | str) -> Sequence[Row]:
        key = "number" if isinstance(order, str) else "order_id"
        return await fetch(self._engine, query.format(key=key), order)


async def lock_expired(session: AsyncSession, now: datetime, limit: int) -> Sequence[UUID]:
    """Pending orders past their deadline that nobody else is at, locked until the commit."""
    return (await session.execute(_EXPIRED, {"now": now, "limit": limit})).scalars().all()


async def lock_slow(session: AsyncSession, now: datetime, pause: timedelta, limit: int) -> Sequence[UUID]:
    """The oldest orders that are pending for longer than `pause` and due, locked until the commit."""
    parameters = {"now": now, "before": now - pause, "limit": limit}
    return (await session.execute(_SLOW, parameters)).scalars().all()


async def lock_to_undo(
    session: AsyncSession, now: datetime, pause: timedelta, keep: timedelta, limit: int
) -> Mapping[UUID, Sequence[str]]:
    """Orders that are cancelled for longer than `pause`, though not than `keep`, and perhaps not undone; with
    the types of the events in their timelines. Locked until the commit."""
    parameters = {"now": now, "before": now - pause, "after": now - keep, "limit": limit}
    return {row.order_id: row.told for row in await session.execute(_TO_UNDO, parameters)}


async def lock_returning(
    session: AsyncSession, now: datetime, pause: timedelta, keep: timedelta, limit: int
) -> Sequence[UUID]:
    """Orders whose returns have waited for something for longer than `pause`, though not than `keep`. Locked
    until the commit."""
    parameters = {"now": now, "before": now - pause, "after": now - keep, "limit": limit}
    return (await session.execute(_RETURNING, parameters)).scalars().all()


def _first(rows: Sequence[Row]) -> Row | None:
    return rows[0] if rows else None


async def forget_networks(session: AsyncSession, before: datetime, limit: int) -> int:
    """Of orders that were declined before then, at most so many, forget where they were placed from. Returns
    how many there were."""
    result = await session.execute(_FORGET_NETWORKS, {"before": before, "limit": limit})
    return cast("CursorResult[Any]", result).rowcount
