"""Looks after sagas that stand: everybody is asked to say again what they have said of the order.

What comes of it is up to their state: who has done it finds it done, who lost it does it now.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

import structlog

from chassis.saga.tx import Tx
from chassis.storage.database import Transactions
from contracts import SagaNudged
from order.domain import Order
from order.settings import Settings
from order.store import lock_returning, lock_slow, lock_to_undo

log = structlog.get_logger()


async def nudge_slow(transactions: Transactions, settings: Settings) -> None:
    """Pending orders, before their deadline gives them up."""
    pause = timedelta(seconds=settings.nudge_after)
    async with transactions() as tx:
        due = await lock_slow(tx.session, tx.now, pause, settings.sweep_batch)
        orders = list((await tx.get_many(Order, due)).values())
        _nudge(tx, orders, pause, settings.nudge_limit)
    if orders:
        log.warning("pending orders stand", orders=len(orders), oldest=str(orders[0].order_id))


async def nudge_to_undo(transactions: Transactions, settings: Settings) -> None:
    """Cancelled orders of which something has not been undone; where all was, that is noted."""
    pause, keep = timedelta(seconds=settings.nudge_after), timedelta(days=settings.nudge_days)
    async with transactions() as tx:
        due = await lock_to_undo(tx.session, tx.now, pause, keep, settings.sweep_batch)
        standing = []
        for order in (await tx.get_many(Order, due)).values():
            order.undone = not order.owes(due[order.order_id])
            if not order.undone:
                standing.append(order)
        _nudge(tx, standing, pause, settings.nudge_limit)
    if standing:
        owed = standing[0].owes(due[standing[0].order_id])
        log.error(
            "cancelled orders stand", orders=len(standing), oldest=str(standing[0].order_id), waits_for=owed
        )


async def nudge_returning(transactions: Transactions, settings: Settings) -> None:
    """Paid orders of which something goes back that nobody has restocked or refunded yet."""
    pause, keep = timedelta(seconds=settings.nudge_after), timedelta(days=settings.nudge_days)
    async with transactions() as tx:
        due = await lock_returning(tx.session, tx.now, pause, keep, settings.sweep_batch)
        orders = list((await tx.get_many(Order, due)).values())
        _nudge(tx, orders, pause, settings.nudge_limit)
    if orders:
        oldest, awaited = str(orders[0].order_id), orders[0].owes(())
        log.error("returns stuck", orders=len(orders), oldest=oldest, waits_for=awaited)


def _nudge(tx: Tx, standing: Sequence[Order], pause: timedelta, limit: int) -> None:
    for order in standing:
        if order.stand(tx.now, pause, limit):
            tx.publish(SagaNudged(order_id=order.order_id, nudge_id=uuid4()))
