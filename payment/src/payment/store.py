"""Payment's queries beyond get-by-key."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, get_args
from uuid import UUID

from sqlalchemy import Column, RowMapping, Text, Uuid, any_, bindparam, func, literal, or_, select, text
from sqlalchemy import types as sql
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from payment.domain import Call
from payment.tables import (
    IS_OPEN,
    REFUND_IS_OPEN,
    dispute,
    intent,
    payment,
    reconciliation,
    refund,
    stray,
    webhook,
)

_CALLS = get_args(Call)
_KEYS = any_(bindparam("keys", type_=sql.ARRAY(Text)))

_UNDECIDED = select(intent.c.subject).where(intent.c.key == _KEYS, intent.c.attempts > 0)
_EXPIRED = text(f"""
    SELECT order_id FROM payment
    WHERE {IS_OPEN} AND state = 'authorized' AND created_at < :before
        AND CAST(order_created ->> 'deadline' AS timestamptz) < :before
    ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED
""")  # noqa: S608  a constant
_OPEN = select(payment).where(IS_OPEN).order_by(payment.c.created_at)
_OPEN_PARTS = select(refund).where(REFUND_IS_OPEN).order_by(refund.c.created_at)


async def undecided(engine: AsyncEngine, orders: Iterable[UUID]) -> set[UUID]:
    """The orders with a call that was made and whose outcome is unknown."""
    keys = [f"{call}:{order_id}" for order_id in orders for call in _CALLS]
    async with engine.connect() as connection:
        return set((await connection.execute(_UNDECIDED, {"keys": keys})).scalars())


async def held(engine: AsyncEngine, orders: Sequence[UUID]) -> set[UUID]:
    """The orders whose money is authorized, and not being captured or voided."""
    if not orders:
        return set()
    about = select(payment.c.order_id).where(
        payment.c.order_id == _any_of(orders, Uuid()), payment.c.state == "authorized"
    )
    return {row["order_id"] for row in await _rows(engine, about)}


async def order_of(engine: AsyncEngine, payment_id: str | None, order_id: UUID | None) -> UUID | None:
    """The order of a payment. A second payment of an order belongs to none; while the money is being
    authorized, its payment's id is not known yet."""
    about = or_(payment.c.payment_id == payment_id, payment.c.order_id == order_id)
    for row in await _rows(engine, select(payment.c.order_id, payment.c.payment_id).where(about)):
        if payment_id is None or row["payment_id"] in (payment_id, None):
            return UUID(str(row["order_id"]))
    return None


class Known:
    """Queries for the payments, refunds and disputes on a page of the provider's lists."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def payments(self, payment_ids: Sequence[str], order_ids: Sequence[UUID]) -> Sequence[RowMapping]:
        """The payments with these provider's ids or of these orders."""
        about = or_(
            payment.c.payment_id == _any_of(payment_ids, Text()),
            payment.c.order_id == _any_of(order_ids, Uuid()),
        )
        query = select(payment.c.order_id, payment.c.payment_id, payment.c.state).where(about)
        return await _rows(self._engine, query)

    async def refund_states(self, ids: Sequence[UUID]) -> dict[UUID, str]:
        """The states of the known ones among these refunds."""
        return await self._states(refund.c.refund_id, refund.c.state, ids)

    async def dispute_statuses(self, ids: Sequence[UUID]) -> dict[UUID, str]:
        """The statuses of the known ones among these disputes."""
        return await self._states(dispute.c.dispute_id, dispute.c.status, ids)

    async def _states(self, key: Column[UUID], state: Column[str], ids: Sequence[UUID]) -> dict[UUID, str]:
        known = select(key, state).where(key == _any_of(ids, Uuid()))
        return {row[key]: row[state] for row in await _rows(self._engine, known)}

    async def open_strays(self, payment_ids: Sequence[str]) -> set[str]:
        """Those of the payments that are open strays."""
        known = select(stray.c.payment_id).where(
            stray.c.payment_id == _any_of(payment_ids, Text()), stray.c.settled_at.is_(None)
        )
        return {row["payment_id"] for row in await _rows(self._engine, known)}


async def remember_webhook(session: AsyncSession, event_id: str) -> bool:
    """Record the event. Returns whether it is new."""
    fresh = insert(webhook).values(event_id=event_id).on_conflict_do_nothing().returning(webhook.c.event_id)
    return (await session.execute(fresh)).scalar() is not None


async def overdue(engine: AsyncEngine, age: timedelta, limit: int = 100) -> Sequence[RowMapping]:
    """The oldest payments that are still open after `age`."""
    return await _rows(engine, _OPEN.where(payment.c.created_at < func.now() - age).limit(limit))


async def refundable(engine: AsyncEngine, attempts: int, limit: int = 100) -> Sequence[UUID]:
    """Orders whose refund was refused less than `attempts` times and is due for a retry."""
    due = _OPEN.where(
        payment.c.state == "refund_failed",
        payment.c.refunds_refused < attempts,
        payment.c.refund_at < func.now(),
    )
    return [row["order_id"] for row in await _rows(engine, due.limit(limit))]


async def overdue_parts(engine: AsyncEngine, age: timedelta, limit: int = 100) -> Sequence[RowMapping]:
    """The oldest partial refunds that are still open after `age`."""
    return await _rows(engine, _OPEN_PARTS.where(refund.c.created_at < func.now() - age).limit(limit))


async def refundable_parts(
    engine: AsyncEngine, attempts: int, limit: int = 100
) -> Sequence[tuple[UUID, UUID]]:
    """Partial refunds that are due for a retry: their own ids and their orders'."""
    due = _OPEN_PARTS.where(
        refund.c.state == "refund_failed", refund.c.refused < attempts, refund.c.refund_at < func.now()
    )
    return [(row["refund_id"], row["order_id"]) for row in await _rows(engine, due.limit(limit))]


async def lock_expired(session: AsyncSession, now: datetime, grace: timedelta, limit: int) -> Sequence[UUID]:
    """The oldest orders whose money is still authorized `grace` after their deadline, locked until the
    commit; orders that are locked already are skipped."""
    return (await session.execute(_EXPIRED, {"before": now - grace, "limit": limit})).scalars().all()


async def begin_reading(
    session: AsyncSession, name: str, now: datetime, every: timedelta
) -> tuple[datetime | None, datetime | None] | None:
    """Record that reading a list begins. Returns when it was last read to its end and when the oldest open
    stray was created; `None` if it was begun less than `every` ago."""
    begun = insert(reconciliation).values(name=name, began_at=now)
    begun = begun.on_conflict_do_update(
        index_elements=["name"], set_={"began_at": now}, where=reconciliation.c.began_at < now - every
    )
    row = (await session.execute(begun.returning(reconciliation.c.ended_at))).first()
    if row is None:
        return None
    oldest = select(func.min(stray.c.created_at)).where(stray.c.settled_at.is_(None))
    return row.ended_at, (await session.execute(oldest)).scalar()


def _any_of(values: Sequence[Any], of: Any) -> Any:
    return any_(literal(list(values), sql.ARRAY(of)))


async def _rows(engine: AsyncEngine, query: Any) -> Sequence[RowMapping]:
    async with engine.connect() as connection:
        return (await connection.execute(query)).mappings().all()
