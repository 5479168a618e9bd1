"""Periodic jobs: nudge sagas whose stock stays reserved long past the order's deadline, serve or reject
orders that wait for stock, and delete holds that have ended."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from uuid import uuid4

import structlog

from chassis.runtime.jobs import Job, Rule, retention
from chassis.storage.database import Transactions
from contracts import SagaNudged
from product import store
from product.domain import MOST_WAITING, Hold, Stock
from product.settings import Settings
from product.waiting import end_waiting, serve_waiting

log = structlog.get_logger()

HOLDS = Rule("hold", key="order_id", where="state NOT IN ('reserved', 'waiting')")


def periodic(settings: Settings, transactions: Transactions) -> Sequence[Job]:
    return [
        Job("nudge stuck holds", settings.nudge_every, partial(nudge_stuck_holds, transactions, settings)),
        Job("waiting", settings.waiting_every, partial(check_waiting_orders, transactions, settings)),
        retention(transactions.engine, (HOLDS, settings.hold_keep_days)),
    ]


async def nudge_stuck_holds(transactions: Transactions, settings: Settings) -> None:
    """Publish `saga.nudged` for orders whose stock is still reserved long past their deadline."""
    pause = timedelta(seconds=settings.nudge_after)
    async with transactions() as tx:
        stuck = await store.lock_stuck_holds(tx.session, tx.now, pause, settings.reconcile_batch)
        holds = list((await tx.get_many(Hold, stuck)).values())
        for hold in holds:
            if hold.count_nudge(tx.now, pause, settings.nudge_limit):
                tx.publish(SagaNudged(order_id=hold.order_id, nudge_id=uuid4()))
    if holds:
        oldest, since = str(holds[0].order_id), str(holds[0].deadline)
        log.error("holds stuck", holds=len(holds), oldest=oldest, deadline=since)


async def check_waiting_orders(transactions: Transactions, settings: Settings) -> None:
    """Reject orders that have waited for the longest time allowed, and serve those that were skipped."""
    while await _end_longest_waits(transactions, settings) == settings.reconcile_batch:
        pass
    for sku in await store.skus_waited_for(transactions.engine):
        async with transactions() as tx:
            await serve_waiting((await tx.get_many(Stock, [sku])).values(), tx, MOST_WAITING)


async def _end_longest_waits(transactions: Transactions, settings: Settings) -> int:
    async with transactions() as tx:
        before = tx.now - timedelta(seconds=settings.wait_for_stock)
        longest = await store.lock_longest_waits(tx.session, before, settings.reconcile_batch)
        await end_waiting((await tx.get_many(Hold, longest)).values(), tx)
    return len(longest)
