"""Looks after holds that stand: stock that is kept for an order long past its deadline is nobody's."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.database import Transactions
from contracts import SagaNudged
from product.domain import Hold
from product.settings import Settings

log = structlog.get_logger()

_STANDING = text("""
    SELECT order_id FROM hold
    WHERE state = 'reserved' AND deadline < :before
        AND coalesce(nudge_at, deadline) < :now
    ORDER BY deadline LIMIT :limit FOR UPDATE SKIP LOCKED
""")


async def nudge_standing(transactions: Transactions, settings: Settings) -> None:
    """Ask everybody to say again how the orders ended whose stock is still held."""
    pause = timedelta(seconds=settings.nudge_after)
    async with transactions() as tx:
        due = await _lock_standing(tx.session, tx.now, pause, settings.reconcile_batch)
        holds = list((await tx.get_many(Hold, due)).values())
        for hold in holds:
            if hold.stand(tx.now, pause, settings.nudge_limit):
                tx.publish(SagaNudged(order_id=hold.order_id, nudge_id=uuid4()))
    if holds:
        oldest, since = str(holds[0].order_id), str(holds[0].deadline)
        log.error("holds stand", holds=len(holds), oldest=oldest, deadline=since)


async def _lock_standing(
    session: AsyncSession, now: datetime, pause: timedelta, limit: int
) -> Sequence[UUID]:
    parameters = {"now": now, "before": now - pause, "limit": limit}
    return (await session.execute(_STANDING, parameters)).scalars().all()
