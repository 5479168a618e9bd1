"""Periodic jobs: cancel expired orders, nudge stuck sagas, delete what is no longer needed.

A nudge (`saga.nudged`) asks every service to publish again what its state says about the order. A service
that has handled the event already ignores it; one that has lost it handles it now.

Each query locks the rows that it returns until the commit, and skips rows that others have locked: the next
round handles them.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import structlog
from sqlalchemy import TextClause, text

from chassis.http.idempotency import IdempotencyKeys
from chassis.runtime.jobs import Job, Rule, retention
from chassis.saga.tx import Tx
from chassis.storage.attempts import Attempts
from chassis.storage.database import Transactions
from chassis.storage.tx import SqlTx
from contracts import SagaNudged
from order.domain import Order
from order.events import missing_compensations
from order.search import ContactHashes
from order.settings import Settings

log = structlog.get_logger()

_EXPIRED = text("""
    SELECT order_id FROM orders WHERE status = 'pending' AND deadline < :now
    LIMIT :limit FOR UPDATE SKIP LOCKED
""")

SLOW_PENDING = text("""
    SELECT order_id FROM orders
    WHERE status = 'pending' AND created_at < :before
        AND coalesce(nudge_at, created_at) < :now
        AND coalesce(action_expires_at, created_at) < :now  -- the shopper has time to confirm with her bank
    ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED
""")

# Orders older than `after` are not nudged: services may have deleted what they know of the order, and would
# handle the republished event as a new one.
UNCOMPENSATED = text("""
    SELECT order_id, ARRAY(SELECT type FROM timeline WHERE timeline.order_id = orders.order_id) AS types
    FROM orders
    WHERE status = 'cancelled' AND NOT undone
        AND cancelled_at BETWEEN :after AND :before
        AND coalesce(nudge_at, cancelled_at) < :now
    ORDER BY cancelled_at LIMIT :limit FOR UPDATE OF orders SKIP LOCKED
""")

# A restock or a refund of a return is still missing.
OPEN_RETURNS = text("""
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
    WHERE orders.order_id = old.order_id RETURNING true
""")

# Orders of deleted accounts that still have an address: their own, those claimed, and those of their guests.
_OF_DELETED = """
    FROM deleted_account CROSS JOIN LATERAL (
        SELECT orders.* FROM orders WHERE shopper_id = account_id AND claimed_by IS NULL
        UNION ALL SELECT orders.* FROM orders WHERE claimed_by = account_id
        UNION ALL SELECT orders.* FROM merged_guests JOIN orders ON shopper_id = guest_id
            WHERE user_id = account_id AND claimed_by IS NULL
    ) AS theirs WHERE contact IS NOT NULL"""

_TO_ANONYMISE = text(f"""
    SELECT order_id FROM orders WHERE order_id IN (
        SELECT order_id {_OF_DELETED} AND (status = 'paid' OR undone) AND order_id > :after)
    ORDER BY order_id LIMIT :limit FOR UPDATE SKIP LOCKED
""")  # noqa: S608

_FORGET_DELETED = text(f"""
    DELETE FROM deleted_account WHERE deleted_at < :before AND account_id NOT IN (
        SELECT account_id {_OF_DELETED})
""")  # noqa: S608

_NOT_HASHED = text("""
    SELECT order_id, contact FROM orders WHERE contact_hash IS NULL AND contact IS NOT NULL
    ORDER BY order_id DESC LIMIT :limit FOR UPDATE SKIP LOCKED
""")
_HASH = text("""
    UPDATE orders SET contact_hash = hashed.hash
    FROM unnest(CAST(:ids AS uuid[]), CAST(:hashes AS bytea[])) AS hashed (id, hash)
    WHERE order_id = hashed.id
""")

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

# For so long tokens of a deleted account, or of its guests, may still place orders, and events be late.
_TOKENS_LIVE = timedelta(days=2)

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
    batch = settings.sweep_batch
    hashes = ContactHashes(settings.contact_key)
    forget = partial(forget_declined_networks, transactions, settings.decline_window, batch)
    anonymise = partial(anonymise_deleted, transactions, timedelta(days=settings.return_days), batch)
    return [
        Job("expire orders", settings.sweep_every, partial(expire_orders, transactions, batch)),
        Job("nudge stuck sagas", settings.nudge_every, partial(nudge_stuck, transactions, settings)),
        Job("delete old idempotency keys", settings.purge_every, keys.prune),
        Job("anonymise orders", settings.purge_every, anonymise),
        Job("delete expired attempts", settings.purge_every, attempts.prune),
        Job("forget networks", settings.purge_every, forget),
        Job("hash contacts", settings.purge_every, partial(hash_contacts, transactions, hashes, batch)),
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
    """Cancel all orders past their deadline, `batch` per transaction."""
    found = batch
    while found == batch:
        async with transactions() as tx:
            rows = await tx.session.execute(_EXPIRED, {"now": tx.now, "limit": batch})
            due = rows.scalars().all()
            for order in (await tx.get_many(Order, due)).values():
                tx.publish(*order.expire(tx.now))
        found = len(due)


async def nudge_stuck(transactions: Transactions, settings: Settings) -> None:
    """Nudge the sagas that make no progress, whatever they wait for."""
    await nudge_pending(transactions, settings)
    await nudge_uncompensated(transactions, settings)
    await nudge_returns(transactions, settings)


async def nudge_pending(transactions: Transactions, settings: Settings) -> None:
    """Nudge pending orders that make no progress, before they expire."""
    async with transactions() as tx:
        orders = [order for order, _ in await due_for_nudge(tx, SLOW_PENDING, settings)]
        _nudge(tx, orders, settings)
    if orders:
        log.warning("pending orders stuck", orders=len(orders), oldest=str(orders[0].order_id))


async def nudge_uncompensated(transactions: Transactions, settings: Settings) -> None:
    """Nudge cancelled orders with missing compensations; mark those as undone that miss none."""
    stuck = {}
    async with transactions() as tx:
        for order, row in await due_for_nudge(tx, UNCOMPENSATED, settings):
            missing = missing_compensations(order, row.types)
            order.undone = not missing
            if missing:
                stuck[order] = missing
        _nudge(tx, stuck, settings)
    _log_stuck("cancelled orders stuck", stuck)


async def nudge_returns(transactions: Transactions, settings: Settings) -> None:
    """Nudge paid orders with a return that was not restocked or refunded yet."""
    async with transactions() as tx:
        due = await due_for_nudge(tx, OPEN_RETURNS, settings)
        stuck = {order: missing_compensations(order, ()) for order, _ in due}
        _nudge(tx, stuck, settings)
    _log_stuck("returns stuck", stuck)


async def anonymise_deleted(transactions: Transactions, period: timedelta, batch: int) -> None:
    """Anonymise the orders of deleted accounts that are over, `batch` per transaction; `period` is that in
    which an order can be cancelled or returned."""
    last, found = UUID(int=0), batch
    while found == batch:
        async with transactions() as tx:
            rows = await tx.session.execute(_TO_ANONYMISE, {"after": last, "limit": batch})
            due = rows.scalars().all()
            for order in (await tx.get_many(Order, due)).values():
                if order.is_over(tx.now, period):
                    tx.publish(*order.anonymise())
        found, last = len(due), max(due, default=last)
    async with transactions() as tx:
        await tx.session.execute(_FORGET_DELETED, {"before": tx.now - _TOKENS_LIVE})


async def forget_declined_networks(transactions: Transactions, window: timedelta, batch: int) -> None:
    """Forget the networks of orders whose declined payment counts no longer."""
    found = batch
    while found == batch:
        async with transactions() as tx:
            parameters = {"before": tx.now - window, "limit": batch}
            forgotten = await tx.session.execute(_FORGET_NETWORKS, parameters)
            found = len(forgotten.all())


async def hash_contacts(transactions: Transactions, hashes: ContactHashes, batch: int) -> None:
    """Hash the addresses of orders that the previous release has placed, the newest first."""
    found = batch
    while found == batch:
        async with transactions() as tx:
            rows = (await tx.session.execute(_NOT_HASHED, {"limit": batch})).all()
            hashed = [hashes.of_contact(row.contact) for row in rows]
            await tx.session.execute(_HASH, {"ids": [row.order_id for row in rows], "hashes": hashed})
            found = len(rows)


async def due_for_nudge(tx: SqlTx, query: TextClause, settings: Settings) -> list[tuple[Order, Any]]:
    """The orders of `SLOW_PENDING`, `UNCOMPENSATED` or `OPEN_RETURNS` that have been stuck for longer than
    `nudge_after`, but not than `nudge_days`, the oldest first, each with its row."""
    before = tx.now - timedelta(seconds=settings.nudge_after)
    after = tx.now - timedelta(days=settings.nudge_days)
    parameters = {"now": tx.now, "before": before, "after": after, "limit": settings.sweep_batch}
    rows = (await tx.session.execute(query, parameters)).all()
    orders = await tx.get_many(Order, [row.order_id for row in rows])
    return [(orders[row.order_id], row) for row in rows]


def _nudge(tx: Tx, stuck: Iterable[Order], settings: Settings) -> None:
    for order in stuck:
        if order.count_nudge(tx.now, timedelta(seconds=settings.nudge_after), settings.nudge_limit):
            tx.publish(SagaNudged(order_id=order.order_id, nudge_id=uuid4()))


def _log_stuck(message: str, stuck: Mapping[Order, Sequence[str]]) -> None:
    if stuck:
        oldest, missing = next(iter(stuck.items()))
        log.error(message, orders=len(stuck), oldest=str(oldest.order_id), waits_for=missing)
