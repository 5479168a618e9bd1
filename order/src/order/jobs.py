"""Periodic jobs: cancel expired orders, nudge stuck sagas, delete what is no longer needed.

A nudge (`saga.nudged`) asks every service to publish again what its state says about the order. A service
that has handled the event already ignores it; one that has lost it handles it now.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

import structlog

from chassis.http.idempotency import IdempotencyKeys
from chassis.runtime.jobs import Job, Rule, retention
from chassis.saga.tx import Tx
from chassis.storage.attempts import Attempts
from chassis.storage.database import Transactions
from contracts import SagaNudged
from order.domain import Order
from order.settings import Settings
from order.store import (
    forget_networks,
    lock_expired,
    lock_open_returns,
    lock_slow_pending,
    lock_uncompensated,
)

log = structlog.get_logger()

# The timeline is needed for as long as compensations may be missing: it says which ones the order needs.
TIMELINE = Rule(
    "timeline",
    key="order_id",
    where="""NOT EXISTS (
        SELECT FROM orders WHERE orders.order_id = timeline.order_id
            AND (status = 'pending' OR status = 'cancelled' AND NOT undone))""",
)
ORDERS = Rule(
    "orders",
    key="order_id",
    where="(status = 'paid' OR undone) AND returning_since IS NULL",
    also="DELETE FROM timeline USING gone WHERE timeline.order_id = gone.order_id",
)
FURTHER_CARTS = Rule("further_carts", key="order_id")

# The audit of staff's actions is kept for as long as the order itself.
STAFF_ACTIONS = Rule(
    "staff_action",
    key="order_id",
    where="NOT EXISTS (SELECT FROM orders WHERE orders.order_id = staff_action.order_id)",
)

# A guest's token expires within a day, so no order can follow later.
MERGED_GUESTS = Rule(
    "merged_guests",
    at="merged_at",
    where="NOT EXISTS (SELECT FROM orders WHERE orders.shopper_id = merged_guests.guest_id)",
)


def periodic(
    settings: Settings, transactions: Transactions, keys: IdempotencyKeys, attempts: Attempts
) -> Sequence[Job]:
    """All jobs, at the intervals of the settings."""

    async def expire() -> None:
        await expire_orders(transactions, settings.sweep_batch)

    async def nudge() -> None:
        await nudge_pending(transactions, settings)
        await nudge_uncompensated(transactions, settings)
        await nudge_returns(transactions, settings)

    async def delete_keys() -> None:
        await delete_old_keys(keys)

    async def forget() -> None:
        await forget_declined_networks(transactions, settings.decline_window, settings.sweep_batch)

    return [
        Job("expire orders", settings.sweep_every, expire),
        Job("nudge stuck sagas", settings.reconcile_every, nudge),
        Job("delete old idempotency keys", settings.purge_every, delete_keys),
        Job("delete expired attempts", settings.purge_every, attempts.forget),
        Job("forget networks", settings.purge_every, forget),
        retention(
            transactions.engine,
            (TIMELINE, settings.timeline_keep_days),
            (ORDERS, settings.order_keep_days),
            (FURTHER_CARTS, settings.order_keep_days),
            (STAFF_ACTIONS, settings.order_keep_days),
            (MERGED_GUESTS, settings.order_keep_days),
        ),
    ]


async def expire_orders(transactions: Transactions, batch: int) -> None:
    """Cancel all orders past their deadline, `batch` per transaction. Rows that are locked by a step or by
    another replica are skipped."""
    while await _expire_batch(transactions, batch) == batch:
        pass


async def nudge_pending(transactions: Transactions, settings: Settings) -> None:
    """Nudge pending orders that make no progress, before they expire."""
    pause = timedelta(seconds=settings.nudge_after)
    async with transactions() as tx:
        due = await lock_slow_pending(tx.session, tx.now, pause, settings.sweep_batch)
        orders = list((await tx.get_many(Order, due)).values())
        _nudge(tx, orders, pause, settings.nudge_limit)
    if orders:
        log.warning("pending orders stuck", orders=len(orders), oldest=str(orders[0].order_id))


async def nudge_uncompensated(transactions: Transactions, settings: Settings) -> None:
    """Nudge cancelled orders with missing compensations; mark those as undone that miss none."""
    pause, keep = timedelta(seconds=settings.nudge_after), timedelta(days=settings.nudge_days)
    async with transactions() as tx:
        due = await lock_uncompensated(tx.session, tx.now, pause, keep, settings.sweep_batch)
        stuck = []
        for order in (await tx.get_many(Order, due)).values():
            order.undone = not order.missing_compensations(due[order.order_id])
            if not order.undone:
                stuck.append(order)
        _nudge(tx, stuck, pause, settings.nudge_limit)
    if stuck:
        missing = stuck[0].missing_compensations(due[stuck[0].order_id])
        log.error(
            "cancelled orders stuck", orders=len(stuck), oldest=str(stuck[0].order_id), waits_for=missing
        )


async def nudge_returns(transactions: Transactions, settings: Settings) -> None:
    """Nudge paid orders with a return that was not restocked or refunded yet."""
    pause, keep = timedelta(seconds=settings.nudge_after), timedelta(days=settings.nudge_days)
    async with transactions() as tx:
        due = await lock_open_returns(tx.session, tx.now, pause, keep, settings.sweep_batch)
        orders = list((await tx.get_many(Order, due)).values())
        _nudge(tx, orders, pause, settings.nudge_limit)
    if orders:
        oldest, missing = str(orders[0].order_id), orders[0].missing_compensations(())
        log.error("returns stuck", orders=len(orders), oldest=oldest, waits_for=missing)


async def delete_old_keys(keys: IdempotencyKeys) -> None:
    """Delete all idempotency keys whose time is over."""
    while await keys.purge():
        pass


async def forget_declined_networks(transactions: Transactions, window: timedelta, batch: int) -> None:
    """Forget the networks of orders whose declined payment counts no longer."""
    forgotten = batch
    while forgotten == batch:
        async with transactions() as tx:
            forgotten = await forget_networks(tx.session, tx.now - window, batch)


async def _expire_batch(transactions: Transactions, batch: int) -> int:
    async with transactions() as tx:
        due = await lock_expired(tx.session, tx.now, batch)
        for order in (await tx.get_many(Order, due)).values():
            tx.publish(*order.expire(tx.now))
    return len(due)


def _nudge(tx: Tx, stuck: Sequence[Order], pause: timedelta, limit: int) -> None:
    for order in stuck:
        if order.count_nudge(tx.now, pause, limit):
            tx.publish(SagaNudged(order_id=order.order_id, nudge_id=uuid4()))
