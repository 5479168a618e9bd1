"""What comes round: orders that nobody pays expire, sagas that stand are nudged, old keys are forgotten."""

from collections.abc import Sequence
from datetime import timedelta

from chassis.http.idempotency import IdempotencyKeys
from chassis.runtime.jobs import Job
from chassis.runtime.retention import Rule, retention
from chassis.storage.attempts import Attempts
from chassis.storage.database import Transactions
from order.domain import Order
from order.reconcile import nudge_returning, nudge_slow, nudge_to_undo
from order.settings import Settings
from order.store import forget_networks, lock_expired

# What is still to be undone of an order is told from its timeline.
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

# What staff did to an order is known for as long as the order itself.
STAFF_ACTIONS = Rule(
    "staff_action",
    key="order_id",
    where="NOT EXISTS (SELECT FROM orders WHERE orders.order_id = staff_action.order_id)",
)

# A guest's token, and so what a guest may order, ends within a day.
MERGED_GUESTS = Rule(
    "merged_guests",
    at="merged_at",
    where="NOT EXISTS (SELECT FROM orders WHERE orders.shopper_id = merged_guests.guest_id)",
)


def sweeps(
    settings: Settings, transactions: Transactions, keys: IdempotencyKeys, attempts: Attempts
) -> Sequence[Job]:
    """All of it, as often as the settings say."""

    async def expire() -> None:
        await expire_orders(transactions, settings.sweep_batch)

    async def reconcile() -> None:
        await nudge_slow(transactions, settings)
        await nudge_to_undo(transactions, settings)
        await nudge_returning(transactions, settings)

    async def forget() -> None:
        await forget_keys(keys)

    async def forget_declined() -> None:
        await forget_declined_networks(transactions, settings.decline_window, settings.sweep_batch)

    return [
        Job("expire orders", settings.sweep_every, expire),
        Job("reconcile", settings.reconcile_every, reconcile),
        Job("forget idempotency keys", settings.purge_every, forget),
        Job("forget attempts", settings.purge_every, attempts.forget),
        Job("forget networks", settings.purge_every, forget_declined),
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
    """Cancel all that are due, `batch` at a time. Rows that a step or another replica is at are skipped."""
    while await _expire_some(transactions, batch) == batch:
        pass


async def forget_keys(keys: IdempotencyKeys) -> None:
    """Forget all that are too old to be repeated."""
    while await keys.purge():
        pass


async def forget_declined_networks(transactions: Transactions, window: timedelta, batch: int) -> None:
    """Where an order was placed from is kept for as long as its declined payment counts."""
    forgotten = batch
    while forgotten == batch:
        async with transactions() as tx:
            forgotten = await forget_networks(tx.session, tx.now - window, batch)


async def _expire_some(transactions: Transactions, batch: int) -> int:
    async with transactions() as tx:
        due = await lock_expired(tx.session, tx.now, batch)
        for order in (await tx.get_many(Order, due)).values():
            tx.publish(*order.expire(tx.now))
    return len(due)
