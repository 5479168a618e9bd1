"""Payment's queries beyond get-by-key: those that only read are statements of their own, outside any
transaction."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, get_args
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from chassis.storage.raw_sql import fetch
from payment.domain import Call
from payment.tables import IS_OPEN, REFUND_IS_OPEN

_CALLS = get_args(Call)

# What is still open after an age, whole payments and partial refunds, the oldest first.
_OVERDUE = f"""
    (SELECT order_id, NULL::uuid AS refund_id, payment_id, state, code FROM payment
     WHERE {IS_OPEN} AND created_at < now() - $1::interval ORDER BY created_at LIMIT 100) UNION ALL
    (SELECT order_id, refund_id, NULL, state, code FROM refund
     WHERE {REFUND_IS_OPEN} AND created_at < now() - $1::interval ORDER BY created_at LIMIT 100)
"""  # noqa: S608  constants
_REFUNDABLE = f"""
    (SELECT order_id, NULL::uuid AS refund_id FROM payment
     WHERE {IS_OPEN} AND state = 'refund_failed' AND refunds_refused < $1 AND refund_at < now()
     ORDER BY created_at LIMIT 100) UNION ALL
    (SELECT order_id, refund_id FROM refund
     WHERE {REFUND_IS_OPEN} AND state = 'refund_failed' AND refused < $1 AND refund_at < now()
     ORDER BY created_at LIMIT 100)
"""  # noqa: S608
_EXPIRED = text(f"""
    SELECT order_id FROM payment
    WHERE {IS_OPEN} AND state = 'authorized' AND created_at < :before
        AND CAST(order_created ->> 'deadline' AS timestamptz) < :before
    ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED
""")  # noqa: S608
_REMEMBER = text("INSERT INTO webhook (event_id) VALUES (:id) ON CONFLICT DO NOTHING RETURNING true")
_BEGIN_READING = text("""
    INSERT INTO reconciliation (name, began_at) VALUES (:name, :now)
    ON CONFLICT (name) DO UPDATE SET began_at = excluded.began_at WHERE reconciliation.began_at < :before
    RETURNING ended_at, (SELECT min(created_at) FROM stray WHERE settled_at IS NULL) AS oldest_stray
""")


async def undecided(engine: AsyncEngine, orders: Iterable[UUID]) -> set[UUID]:
    """The orders with a call that was made and whose outcome is unknown."""
    keys = [f"{call}:{order_id}" for order_id in orders for call in _CALLS]
    rows = await fetch(engine, "SELECT subject FROM intent WHERE key = ANY ($1) AND attempts > 0", keys)
    return {row["subject"] for row in rows}


async def held(engine: AsyncEngine, orders: Sequence[UUID]) -> set[UUID]:
    """The orders whose money is authorized, and not being captured or voided."""
    if not orders:
        return set()
    query = "SELECT order_id FROM payment WHERE order_id = ANY ($1) AND state = 'authorized'"
    return {row["order_id"] for row in await fetch(engine, query, orders)}


async def order_of(engine: AsyncEngine, payment_id: str | None, order_id: UUID | None) -> UUID | None:
    """The order of a payment. A second payment of an order belongs to none; while the money is being
    authorized, its payment's id is not known yet."""
    query = "SELECT order_id, payment_id FROM payment WHERE payment_id = $1 OR order_id = $2"
    rows = await fetch(engine, query, payment_id, order_id)
    found = (row["order_id"] for row in rows if payment_id is None or row["payment_id"] in (payment_id, None))
    return next(found, None)


class Known:
    """What is known here of the payments, refunds and disputes on a page of the provider's lists."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def payments(self, ids: Sequence[str], orders: Sequence[UUID]) -> Sequence[Any]:
        """The payments with these provider's ids or of these orders."""
        about = "payment_id = ANY ($1) OR order_id = ANY ($2)"
        query = f"SELECT order_id, payment_id, state FROM payment WHERE {about}"  # noqa: S608
        return await fetch(self._engine, query, ids, orders)

    async def refund_states(self, ids: Sequence[UUID]) -> dict[UUID, str]:
        """The states of the known ones among these refunds."""
        query = "SELECT refund_id, state FROM refund WHERE refund_id = ANY ($1)"
        return dict(await fetch(self._engine, query, ids))

    async def dispute_statuses(self, ids: Sequence[UUID]) -> dict[UUID, str]:
        """The statuses of the known ones among these disputes."""
        query = "SELECT dispute_id, status FROM dispute WHERE dispute_id = ANY ($1)"
        return dict(await fetch(self._engine, query, ids))

    async def open_strays(self, payment_ids: Sequence[str]) -> set[str]:
        """Those of the payments that are open strays."""
        query = "SELECT payment_id FROM stray WHERE payment_id = ANY ($1) AND settled_at IS NULL"
        return {row["payment_id"] for row in await fetch(self._engine, query, payment_ids)}


async def overdue(engine: AsyncEngine, age: timedelta) -> Sequence[Any]:
    """The oldest payments, and partial refunds with their `refund_id`, that are still open after `age`."""
    return await fetch(engine, _OVERDUE, age)


async def refundable(engine: AsyncEngine, attempts: int) -> Sequence[Any]:
    """The orders, and of partial refunds the `refund_id`, of refunds that were refused less than `attempts`
    times and are due for a retry."""
    return await fetch(engine, _REFUNDABLE, attempts)


async def remember_webhook(session: AsyncSession, event_id: str) -> bool:
    """Record the event. Returns whether it is new."""
    return (await session.execute(_REMEMBER, {"id": event_id})).scalar() is not None


async def lock_expired(session: AsyncSession, now: datetime, grace: timedelta, limit: int) -> Sequence[UUID]:
    """The oldest orders whose money is still authorized `grace` after their deadline, locked until the
    commit; orders that are locked already are skipped."""
    return (await session.execute(_EXPIRED, {"before": now - grace, "limit": limit})).scalars().all()


async def begin_reading(
    session: AsyncSession, name: str, now: datetime, every: timedelta
) -> tuple[datetime | None, datetime | None] | None:
    """Record that reading a list begins. Returns when it was last read to its end and when the oldest open
    stray was created; `None` if it was begun less than `every` ago."""
    parameters = {"name": name, "now": now, "before": now - every}
    row = (await session.execute(_BEGIN_READING, parameters)).one_or_none()
    return None if row is None else (row.ended_at, row.oldest_stray)
