"""Payment's queries beyond get-by-key."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import get_args
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from payment.domain import Call

_CALLS = get_args(Call)

_UNDECIDED = text("SELECT 1 FROM intent WHERE key = ANY(CAST(:keys AS text[])) AND attempts > 0 LIMIT 1")
_REMEMBER = text("INSERT INTO webhook (event_id) VALUES (:id) ON CONFLICT DO NOTHING RETURNING event_id")
_FORGET = text("DELETE FROM webhook WHERE seen_at < now() - :keep")
_OPEN = "state NOT IN ('captured', 'voided', 'refunded', 'declined', 'refused')"
_OVERDUE = text(f"""
    SELECT order_id, state, payment_id, code, created_at FROM payment
    WHERE {_OPEN} AND created_at < now() - :age ORDER BY created_at LIMIT :limit
""")  # noqa: S608 - nothing in it comes from outside
_REFUNDABLE = text(f"""
    SELECT order_id FROM payment
    WHERE {_OPEN} AND state = 'refund_failed' AND refunds_refused < :attempts AND refund_at < now()
    ORDER BY created_at LIMIT :limit
""")  # noqa: S608


@dataclass(frozen=True)
class Overdue:
    """A payment that should have come to an end."""

    order_id: UUID
    state: str
    payment_id: str | None
    code: str | None
    created_at: datetime


async def is_undecided(engine: AsyncEngine, order_id: UUID) -> bool:
    """Whether a call for that order has been made and its outcome is still unknown."""
    keys = [f"{call}:{order_id}" for call in _CALLS]
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        return (await connection.execute(_UNDECIDED, {"keys": keys})).scalar() is not None


async def remember_webhook(session: AsyncSession, event_id: str) -> bool:
    """Whether this event was not acted upon before; it is from now on."""
    return (await session.execute(_REMEMBER, {"id": event_id})).scalar() is not None


async def forget_webhooks(engine: AsyncEngine, keep: timedelta) -> None:
    """Delete those that are too old to be delivered again."""
    async with engine.begin() as connection:
        await connection.execute(_FORGET, {"keep": keep})


async def overdue(engine: AsyncEngine, age: timedelta, limit: int = 100) -> list[Overdue]:
    """The oldest payments that are still open after `age`."""
    async with engine.connect() as connection:
        rows = await connection.execute(_OVERDUE, {"age": age, "limit": limit})
        return [Overdue(*row) for row in rows]


async def refundable(engine: AsyncEngine, attempts: int, limit: int = 100) -> Sequence[UUID]:
    """Orders whose refund was refused, not too often, and is due again."""
    async with engine.connect() as connection:
        rows = await connection.execute(_REFUNDABLE, {"attempts": attempts, "limit": limit})
        return rows.scalars().all()
