"""Orders that wait for pieces that other orders hold: first come, first served, as far as there is enough.

Who came first is told by the order's id, which grows with the time of the checkout. An order that wants more
than there is holds up nobody behind it.
"""

from collections.abc import Iterable, Mapping

from chassis.tx import Cause, Tx
from contracts import OrderCreated
from product.domain import Hold, Stock

AT_ONCE = 20  # are looked at when something has changed; the others a moment later


async def serve_waiting(stocks: Iterable[Stock], tx: Tx, most: int = AT_ONCE) -> None:
    """Look at those who wait for these products, which have just changed: whoever can be had all that is
    wanted for gets it, and who waits in vain is told.

    The rows that it locks are locked out of sequence, so it must wait for none of them: what another
    transaction is at is looked at later (see `reconcile.serve_passed_over`).
    """
    due = sorted({order_id for stock in stocks for order_id in stock.due()})[:most]
    if not due:
        return
    holds = await tx.get_free(Hold, due)
    wanted = await tx.get_free(Stock, {sku for hold in holds.values() for sku in hold.lines})
    for order_id in due:
        hold = holds.get(order_id)
        if hold is not None and hold.lines.keys() <= wanted.keys():
            _look_again(hold, wanted, tx)


async def end_waiting(holds: Iterable[Hold], tx: Tx) -> None:
    """They have waited long enough: a last look, then they give up."""
    waiting = list(holds)
    stocks = await tx.get_many(Stock, {sku for hold in waiting for sku in hold.lines})
    for hold in waiting:
        _look_again(hold, stocks, tx, patient=False)


def _look_again(hold: Hold, stocks: Mapping[str, Stock], tx: Tx, *, patient: bool = True) -> None:
    """What comes of it was caused by the order itself: what let it happen is about another's."""
    said = hold.look_again(stocks, tx.now, patient=patient)
    if said is not None:
        tx.publish(said, cause=Cause(f"{OrderCreated.type}/{hold.order_id}", hold.traceparent))
