"""Product's part in the saga: reserve stock, sell it, and put it back. Whenever pieces become available, or
are gone for good, the orders that wait for them are served or rejected in the same transaction."""

from collections.abc import Iterable
from typing import Any

from chassis.saga.steps import Steps
from chassis.saga.topology import Participant
from chassis.saga.tx import Tx
from contracts import (
    OrderCancelled,
    OrderCreated,
    OrderPaid,
    OrderReturned,
    SagaNudged,
    StockRejected,
    StockReleased,
    StockReserved,
    StockReturned,
)
from contracts.order import OrderSnapshot
from product.domain import Hold, NeverReserved, Stock
from product.waiting import serve_waiting


def _rows(event: OrderSnapshot | OrderReturned) -> Iterable[tuple[type, Any]]:
    yield Hold, event.order_id
    for line in event.lines:
        yield Stock, line.sku


steps = Steps("product", locks=_rows)
participant = Participant("product", steps=[steps], publishes=[SagaNudged])  # nudges come from `jobs`


@steps.on(OrderCreated, publishes=[StockReserved, StockRejected])
async def reserve_stock(event: OrderCreated, tx: Tx) -> None:
    """Reserve all lines or none; wait for pieces that other orders have reserved; none if cancelled
    before."""
    if await tx.get(Hold, event.order_id) is not None:
        return
    if event.is_long_over(tx.now):
        tx.add(Hold(event.order_id, "refused"))
        return
    stocks = await tx.get_many(Stock, [line.sku for line in event.lines])
    hold, outcome = Hold.place(event, stocks, tx.now)
    tx.add(hold)
    if outcome is not None:
        tx.publish(outcome)
    elif tx.envelope is not None:
        hold.traceparent = tx.envelope.traceparent


@steps.on(OrderPaid, publishes=[StockReserved, StockRejected])
async def sell_stock(event: OrderPaid, tx: Tx) -> None:
    """Sell what is still reserved, and reject waiting orders that can no longer be filled."""
    hold = await tx.get(Hold, event.order_id)
    if hold is None:  # retried, then dead-lettered: an operator must see it, and stock stays as it is
        raise NeverReserved(f"order {event.order_id} is unknown")
    stocks = await tx.get_many(Stock, hold.lines)
    hold.sell(stocks)
    await serve_waiting(stocks.values(), tx)


@steps.on(OrderCancelled, publishes=[StockReleased, StockReserved, StockRejected], compensates=reserve_stock)
async def release_stock(event: OrderCancelled, tx: Tx) -> None:
    """Put reserved or sold pieces back and serve waiting orders. If `order.created` has not arrived yet,
    leave a tombstone."""
    hold = await tx.get(Hold, event.order_id)
    if hold is None:
        tx.add(Hold(event.order_id, "refused"))
        return
    stocks = await tx.get_many(Stock, hold.lines)
    released = hold.release(stocks)
    if released is not None:
        tx.publish(released)
        await serve_waiting(stocks.values(), tx)


@steps.on(OrderReturned, publishes=[StockReturned, StockReserved, StockRejected])
async def restock_returned(event: OrderReturned, tx: Tx) -> None:
    """Restock the returned pieces, once, and serve waiting orders; a return without goods has no effect."""
    if not event.lines:
        return
    hold = await tx.get(Hold, event.order_id)
    if hold is None:
        hold = Hold(event.order_id, "sold")  # retention has deleted the hold of this old order
        tx.add(hold)
    # The hold's own skus, too: a return that arrives before `order.paid` first sells the whole order.
    skus = sorted({*hold.lines, *(line.sku for line in event.lines)})
    stocks = await tx.get_many(Stock, skus)
    restocked = hold.restock_return(event, stocks)
    if restocked is not None:
        tx.publish(restocked)
        await serve_waiting(stocks.values(), tx)


@steps.on(
    SagaNudged,
    publishes=[StockReserved, StockRejected, StockReleased, StockReturned],
    locks=lambda event: [(Hold, event.order_id)],
)
async def republish_events(event: SagaNudged, tx: Tx) -> None:
    """Republish that the stock is reserved, rejected, released or returned."""
    hold = await tx.get(Hold, event.order_id)
    if hold is not None:
        tx.publish(*hold.events_to_republish(tx.now))
