"""Looks after holds that stand: stock that is kept for an order long past its deadline is nobody's; and after
orders that wait, so that none waits long."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.database import Transactions
from contracts import SagaNudged
from product.domain import MOST_WAITING, Hold, Stock
from product.settings import Settings
from product.waiting import end_waiting, serve_waiting

log = structlog.get_logger()

_STANDING = text("""
    SELECT order_id FROM hold
    WHERE state = 'reserved' AND deadline < :before
        AND coalesce(nudge_at, deadline) < :now
    ORDER BY deadline LIMIT :limit FOR UPDATE SKIP LOCKED
""")

_LONGEST_WAITING = text("""
    SELECT order_id FROM hold WHERE state = 'waiting' AND waiting_since < :before
    ORDER BY waiting_since LIMIT :limit FOR UPDATE SKIP LOCKED
""")
_WAITED_FOR = text("SELECT sku FROM stock WHERE waiting IS NOT NULL ORDER BY sku")


async def look_after_waiting(transactions: Transactions, settings: Settings) -> None:
    """Whoever has waited long enough gives up; who was passed over when something came free is served."""
    while await _some_give_up(transactions, settings) == settings.reconcile_batch:
        pass
    await serve_passed_over(transactions)


async def _some_give_up(transactions: Transactions, settings: Settings) -> int:
    async with transactions() as tx:
        before = tx.now - timedelta(seconds=settings.wait_for_stock)
        asked = {"before": before, "limit": settings.reconcile_batch}
        longest = (await tx.session.execute(_LONGEST_WAITING, asked)).scalars().all()
        await end_waiting((await tx.get_many(Hold, longest)).values(), tx)
    return len(longest)


async def serve_passed_over(transactions: Transactions) -> None:
    """Look at all who wait, product by product."""
    async with transactions.engine.connect() as connection:
        waited_for = (await connection.execute(_WAITED_FOR)).scalars().all()
    for sku in waited_for:
        async with transactions() as tx:
            await serve_waiting((await tx.get_many(Stock, [sku])).values(), tx, MOST_WAITING)


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
