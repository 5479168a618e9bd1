"""Orders that wait for pieces which other orders have reserved: first come, first served.

The sequence is that of the orders' ids, which grow with the time of the checkout. An order that needs more
pieces than are available does not block the orders behind it.
"""

from collections.abc import Iterable, Mapping

from chassis.saga.tx import Cause, Tx
from contracts import OrderCreated
from product.domain import Hold, Stock

BATCH = 20  # orders that are served with the change itself; `jobs.check_waiting_orders` serves the others


async def serve_waiting(stocks: Iterable[Stock], tx: Tx, limit: int = BATCH) -> None:
    """Recheck the orders that wait for these products, whose stock has just changed: reserve those that can
    be filled now, reject those that never can.

    It takes row locks out of sequence, so it must not wait for any: rows that another transaction has locked
    are skipped, and served by `jobs.check_waiting_orders`.
    """
    order_ids = sorted({order_id for stock in stocks for order_id in stock.orders_to_recheck()})[:limit]
    if not order_ids:
        return
    holds = await tx.get_free(Hold, order_ids)
    stocks_by_sku = await tx.get_free(Stock, {sku for hold in holds.values() for sku in hold.lines})
    for order_id in order_ids:
        hold = holds.get(order_id)
        if hold is not None and hold.lines.keys() <= stocks_by_sku.keys():
            _recheck(hold, stocks_by_sku, tx)


async def end_waiting(holds: Iterable[Hold], tx: Tx) -> None:
    """Recheck orders that have waited for the longest time allowed, and reject those that cannot be filled
    now."""
    waiting = list(holds)
    stocks = await tx.get_many(Stock, {sku for hold in waiting for sku in hold.lines})
    for hold in waiting:
        _recheck(hold, stocks, tx, may_wait=False)


def _recheck(hold: Hold, stocks: Mapping[str, Stock], tx: Tx, *, may_wait: bool = True) -> None:
    """The cause of the outcome is the waiting order's own `order.created`, not the event about another order
    that freed the stock."""
    outcome = hold.recheck(stocks, tx.now, may_wait=may_wait)
    if outcome is not None:
        tx.publish(outcome, cause=Cause(f"{OrderCreated.type}/{hold.order_id}", hold.traceparent))
