"""Order's part in the saga: it ends each order, paid or cancelled, and keeps its timeline.

There is no orchestrator. Product reserves the stock and payment authorizes the money when they consume
`order.created`; payment captures once both are done. Order consumes the outcome. When the order fails it
publishes `order.cancelled`, on which every service compensates what it has done for the order.
"""

from uuid import UUID

from chassis.saga.steps import Steps
from chassis.saga.topology import Participant
from chassis.saga.tx import Tx
from contracts import (
    EVENTS,
    NOT_CONFIRMED,
    GuestMerged,
    OrderAnonymised,
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
    UserDeleted,
)
from contracts.order import AboutOrder
from order import events, returning
from order.domain import DeletedAccount, MergedGuest, Order
from order.errors import Impossible
from order.timeline import TimelineEntry

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
    tx.publish(*order.cancel_out_of_stock(event.short, tx.now))


@steps.on(PaymentDeclined, publishes=[OrderCancelled])
async def cancel_declined_order(event: PaymentDeclined, tx: Tx) -> None:
    """Cancel: payment declined, or not confirmed in time."""
    order = await _load(tx, event.order_id)
    tx.publish(*order.decline(event.decline_reason, tx.now, too_late=event.code == NOT_CONFIRMED))


@steps.on(PaymentActionRequired)
async def ask_shopper(event: PaymentActionRequired, tx: Tx) -> None:
    """Show the shopper where to confirm with her bank, unless the order has ended."""
    order = await _load(tx, event.order_id)
    order.ask_shopper(event)


@steps.on(StockReleased)
async def note_release(event: StockReleased, tx: Tx) -> None:
    """Record that the stock was released."""
    order = await _load(tx, event.order_id)
    order.note_release(tx.now)


@steps.on(PaymentVoided)
async def note_void(event: PaymentVoided, tx: Tx) -> None:
    """Record that the authorization was released."""
    order = await _load(tx, event.order_id)
    order.note_void(tx.now)


@steps.on(PaymentRefunded)
async def note_refund(event: PaymentRefunded, tx: Tx) -> None:
    """Record that the money was refunded."""
    order = await _load(tx, event.order_id)
    order.note_refund(event.total.amount, tx.now)


@steps.on(PaymentRefundFailed)
async def note_failed_refund(event: PaymentRefundFailed, tx: Tx) -> None:
    """Record that a refund failed: the shopper does not have that money."""
    order = await _load(tx, event.order_id)
    returning.note_failed_refund(order, event, tx.now)


@steps.on(PaymentDisputed)
async def note_dispute(event: PaymentDisputed, tx: Tx) -> None:
    """Record a dispute of the payment, or its new status."""
    order = await _load(tx, event.order_id)
    returning.note_dispute(order, event)


@steps.on(StockReturned)
async def note_restock(event: StockReturned, tx: Tx) -> None:
    """Record that the goods of a return were restocked."""
    order = await _load(tx, event.order_id)
    returning.note_restock(order, event.return_id, tx.now)


@steps.on(PaymentRefundedInPart)
async def note_refund_in_part(event: PaymentRefundedInPart, tx: Tx) -> None:
    """Record a refund in part, and for which return."""
    order = await _load(tx, event.order_id)
    returning.note_refund(order, event, tx.now)


@steps.on(
    SagaNudged,
    publishes=[
        OrderCreated,
        OrderFulfilled,
        OrderReturned,
        OrderRefundSettled,
        OrderCancelled,
        OrderAnonymised,
    ],
)
async def republish_events(event: SagaNudged, tx: Tx) -> None:
    """Republish the events about the order that are still true."""
    order = await _load(tx, event.order_id)
    tx.publish(*events.to_republish(order, tx.now))


@steps.on(GuestMerged, locks=lambda event: ())
async def move_guest_orders(event: GuestMerged, tx: Tx) -> None:
    """Give the guest's orders, from before or after, to the account."""
    tx.add_once(MergedGuest(event.guest_id, event.user_id, tx.now))


@steps.on(UserDeleted, locks=lambda event: ())
async def note_deletion(event: UserDeleted, tx: Tx) -> None:
    """Record that the account was deleted: a periodic job anonymises its orders, each when it is over."""
    tx.add_once(DeletedAccount(event.user_id, tx.now))


async def _load(tx: Tx, order_id: UUID) -> Order:
    order = await tx.get(Order, order_id)
    if order is None:
        raise Impossible(f"no order {order_id}")  # its row was committed together with `order.created`
    return order


timeline = Steps("order.timeline")


async def keep_in_timeline(event: AboutOrder, tx: Tx) -> None:
    """Add the event to the order's timeline, once."""
    assert tx.envelope is not None
    tx.add_once(TimelineEntry.of(event, tx.envelope))


for saga_event in EVENTS.values():
    if issubclass(saga_event, AboutOrder) and saga_event is not SagaNudged:
        timeline.on(saga_event)(keep_in_timeline)

participant = Participant(
    "order",
    steps=[steps, timeline],
    publishes=[
        OrderCreated,
        OrderCancelled,
        OrderFulfilled,
        OrderReturned,
        OrderRefundSettled,
        OrderAnonymised,
        SagaNudged,
    ],
)
