"""What order does on hearing how a checkout goes: it ends the order, paid or cancelled, and keeps its story.

Nobody conducts. Product reserves the stock and payment holds the money as soon as `order.created` is said;
payment captures once both are done. Order hears the end of it, and says `order.cancelled` when there is to
be none: whoever has done something for the order undoes it on hearing that.
"""

from uuid import UUID

from chassis.saga.steps import Steps
from chassis.saga.topology import Participant
from chassis.saga.tx import Tx
from contracts import (
    EVENTS,
    NOT_CONFIRMED,
    GuestMerged,
    OrderCancelled,
    OrderCreated,
    OrderFulfilled,
    OrderPaid,
    OrderRefundSettled,
    OrderReturned,
    PaymentActionRequired,
    PaymentDeclined,
    PaymentDisputed,
    PaymentRefunded,
    PaymentRefundedInPart,
    PaymentRefundFailed,
    PaymentVoided,
    SagaNudged,
    StockRejected,
    StockReleased,
    StockReturned,
)
from contracts.order import AboutOrder
from order import returning
from order.domain import Impossible, MergedGuest, Order
from order.story import TimelineEntry

steps = Steps("order", locks=lambda event: [(Order, event.order_id)])


@steps.on(OrderPaid)
async def mark_paid(event: OrderPaid, tx: Tx) -> None:
    """Mark the order paid; one that was cancelled meanwhile stays cancelled, and payment refunds it."""
    order = await _load(tx, event.order_id)
    order.pay(event, tx.now)


@steps.on(StockRejected, publishes=[OrderCancelled])
async def cancel_short_order(event: StockRejected, tx: Tx) -> None:
    """Cancel: out of stock."""
    order = await _load(tx, event.order_id)
    tx.publish(*order.run_short(event.short, tx.now))


@steps.on(PaymentDeclined, publishes=[OrderCancelled])
async def cancel_declined_order(event: PaymentDeclined, tx: Tx) -> None:
    """Cancel: payment declined, or not confirmed in time."""
    order = await _load(tx, event.order_id)
    tx.publish(*order.decline(event.decline_reason, tx.now, too_late=event.code == NOT_CONFIRMED))


@steps.on(PaymentActionRequired)
async def ask_shopper(event: PaymentActionRequired, tx: Tx) -> None:
    """Show the shopper where she confirms with her bank, unless the order has ended."""
    order = await _load(tx, event.order_id)
    order.ask_shopper(event)


@steps.on(StockReleased)
async def note_release(event: StockReleased, tx: Tx) -> None:
    """Note that the stock is back."""
    order = await _load(tx, event.order_id)
    order.note_release(tx.now)


@steps.on(PaymentVoided)
async def note_void(event: PaymentVoided, tx: Tx) -> None:
    """Note that the money is no longer held."""
    order = await _load(tx, event.order_id)
    order.note_void(tx.now)


@steps.on(PaymentRefunded)
async def note_refund(event: PaymentRefunded, tx: Tx) -> None:
    """Note that the money went back."""
    order = await _load(tx, event.order_id)
    order.note_refund(event.total.amount, tx.now)


@steps.on(PaymentRefundFailed)
async def note_failed_refund(event: PaymentRefundFailed, tx: Tx) -> None:
    """Note that a refund came back: the shopper does not have that money."""
    order = await _load(tx, event.order_id)
    order.note_failed_refund(event, tx.now)


@steps.on(PaymentDisputed)
async def note_dispute(event: PaymentDisputed, tx: Tx) -> None:
    """Note that the shopper's bank asks for the money, or how it has decided."""
    order = await _load(tx, event.order_id)
    returning.note_dispute(order, event)


@steps.on(StockReturned)
async def note_restock(event: StockReturned, tx: Tx) -> None:
    """Note that the goods of a return are on hand again."""
    order = await _load(tx, event.order_id)
    returning.note_restock(order, event.return_id, tx.now)


@steps.on(PaymentRefundedInPart)
async def note_refund_in_part(event: PaymentRefundedInPart, tx: Tx) -> None:
    """Note what went back, and for which return."""
    order = await _load(tx, event.order_id)
    returning.note_refund(order, event, tx.now)


@steps.on(
    SagaNudged, publishes=[OrderCreated, OrderFulfilled, OrderReturned, OrderRefundSettled, OrderCancelled]
)
async def say_again(event: SagaNudged, tx: Tx) -> None:
    """Say again that the order was created, fulfilled, returned or cancelled, a refund of it settled."""
    order = await _load(tx, event.order_id)
    tx.publish(*order.restate(tx.now))


@steps.on(GuestMerged, locks=lambda event: ())
async def move_guest_orders(event: GuestMerged, tx: Tx) -> None:
    """What the guest has ordered, before or since, is the account's."""
    tx.add_once(MergedGuest(event.guest_id, event.user_id, tx.now))


async def _load(tx: Tx, order_id: UUID) -> Order:
    order = await tx.get(Order, order_id)
    if order is None:
        raise Impossible(f"no order {order_id}")  # it was committed before anybody could hear of it
    return order


timeline = Steps("order.timeline")


async def keep_in_timeline(event: AboutOrder, tx: Tx) -> None:
    """Keep it in the order's timeline, unless it is there."""
    assert tx.envelope is not None
    tx.add_once(TimelineEntry.of(event, tx.envelope))


for saga_event in EVENTS.values():
    if issubclass(saga_event, AboutOrder) and saga_event is not SagaNudged:
        timeline.on(saga_event)(keep_in_timeline)

participant = Participant(
    "order",
    steps=[steps, timeline],
    publishes=[OrderCreated, OrderCancelled, OrderFulfilled, OrderReturned, OrderRefundSettled, SagaNudged],
)
