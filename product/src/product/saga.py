"""What product does on hearing of an order: reserve, sell, and put back. Whenever something can be had again,
or never more, those who wait for it are looked at in the same transaction."""

from collections.abc import Iterable
from typing import Any

from chassis.steps import Steps
from chassis.topology import Participant
from chassis.tx import Tx
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
participant = Participant("product", steps=[steps], says=[SagaNudged])


@steps.on(OrderCreated, says=[StockReserved, StockRejected])
async def reserve_stock(event: OrderCreated, tx: Tx) -> None:
    """Reserve all lines or none, and wait where others hold what is missing; none if cancelled before."""
    if await tx.get(Hold, event.order_id) is not None:
        return
    if event.is_long_over(tx.now):
        tx.add(Hold(event.order_id, "refused"))
        return
    stocks = await tx.get_many(Stock, [line.sku for line in event.lines])
    hold, said = Hold.place(event, stocks, tx.now)
    tx.add(hold)
    if said is not None:
        tx.publish(said)
    elif tx.envelope is not None:
        hold.traceparent = tx.envelope.traceparent


@steps.on(OrderPaid, says=[StockReserved, StockRejected])
async def sell_stock(event: OrderPaid, tx: Tx) -> None:
    """What was reserved is sold; what was released meanwhile is not. Reject who waits for it in vain."""
    hold = await tx.get(Hold, event.order_id)
    if hold is None:  # retried, then dead-lettered: an operator must see it, and stock stays as it is
        raise NeverReserved(f"order {event.order_id} is not known here")
    stocks = await tx.get_many(Stock, hold.lines)
    hold.sell(stocks)
    await serve_waiting(stocks.values(), tx)


@steps.on(OrderCancelled, says=[StockReleased, StockReserved, StockRejected], compensates=reserve_stock)
async def release_stock(event: OrderCancelled, tx: Tx) -> None:
    """Put back what is reserved or sold, for who waits for it; before anything was, refuse to reserve."""
    hold = await tx.get(Hold, event.order_id)
    if hold is None:
        tx.add(Hold(event.order_id, "refused"))
        return
    stocks = await tx.get_many(Stock, hold.lines)
    said = hold.release(stocks)
    if said is not None:
        tx.publish(said)
        await serve_waiting(stocks.values(), tx)


@steps.on(OrderReturned, says=[StockReturned, StockReserved, StockRejected])
async def restock_returned(event: OrderReturned, tx: Tx) -> None:
    """Put what comes back on the shelf, once, for who waits for it; without goods there is nothing to do."""
    if not event.lines:
        return
    hold = await tx.get(Hold, event.order_id)
    if hold is None:
        hold = Hold.forgotten(event.order_id)
        tx.add(hold)
    stocks = await tx.get_many(Stock, _skus(hold, event))
    said = hold.take_back(event, stocks)
    if said is not None:
        tx.publish(said)
        await serve_waiting(stocks.values(), tx)


@steps.on(
    SagaNudged,
    says=[StockReserved, StockRejected, StockReleased, StockReturned],
    locks=lambda event: [(Hold, event.order_id)],
)
async def say_again(event: SagaNudged, tx: Tx) -> None:
    """Say again that the stock is reserved, short, released, or returned."""
    hold = await tx.get(Hold, event.order_id)
    if hold is not None:
        tx.publish(*hold.restate(tx.now))


def _skus(hold: Hold, event: OrderReturned) -> Iterable[str]:
    """What is sold only now, too, when the return was heard of before the payment."""
    return sorted({*hold.lines, *(line.sku for line in event.lines)})
