"""A pending order does not wait for ever: past its deadline it is cancelled."""

from chassis.database import Transactions
from order.domain import Order
from order.store import lock_expired


async def expire_orders(transactions: Transactions, batch: int) -> None:
    """Cancel all that are due, `batch` at a time. Rows that a step or another replica is at are skipped."""
    while await _expire_some(transactions, batch) == batch:
        pass


async def _expire_some(transactions: Transactions, batch: int) -> int:
    async with transactions() as tx:
        due = await lock_expired(tx.session, tx.now, batch)
        for order in (await tx.get_many(Order, due)).values():
            tx.publish(*order.expire(tx.now))
    return len(due)
