"""What may go back of a paid order: a piece that is returned, and money that staff give back."""

from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import suppress
from uuid import UUID

from chassis.saga.tx import Tx
from contracts import OrderFulfilled, OrderReturned
from order import returning
from order.domain import Order
from order.errors import NotAllowed
from order.pricing import Wanted
from order.returns import Return
from payment.domain import REFUND_RETRY_AFTER, Payment
from payment.refunds import Refund
from payment.saga import retry_part
from product.domain import Hold
from shop.ledger.evidence import ReturnRecord
from tests.model.actor import Command
from tests.model.provider import NOW

GIVEN = 300
MOST_REFUSALS = 2  # and then it is for people
OPTIONAL = ("fulfil", "request a return", "receive the return", "give money back")
BY_STAFF = OPTIONAL[3:]

Act = Callable[[Order], list[OrderFulfilled] | list[OrderReturned] | Return]


def commands(one: Order, only: Collection[str]) -> Iterator[tuple[str, Command]]:
    """What of this shopper and staff may do to the order, at any moment and again and again."""
    piece, money = _ids(one.order_id)
    pieces = [Wanted(one.lines[0].sku, 1)]
    acts: tuple[tuple[Act, UUID | None], ...] = (
        (lambda order: order.fulfil(NOW), None),
        (lambda order: returning.request(order, piece, pieces, NOW, None), piece),
        (lambda order: returning.receive(order, piece, NOW), None),
        (
            lambda order: returning.refund_by_staff(
                order, money, NOW, wanted=[], amount=GIVEN, restock=False
            ),
            money,
        ),
    )
    for name, (act, begins) in zip(OPTIONAL, acts, strict=True):
        if name in only:
            yield name, Command(_doing(one.order_id, act, begins), [OrderFulfilled, OrderReturned])


def _ids(order_id: UUID) -> tuple[UUID, UUID]:
    """What the return of a piece and staff's refund are called."""
    return UUID(int=10 * order_id.int + 2001), UUID(int=10 * order_id.int + 2002)


def _doing(order_id: UUID, act: Act, begins: UUID | None) -> Callable[[Tx], Awaitable[None]]:
    async def do(tx: Tx) -> None:
        order = await tx.get(Order, order_id)
        assert order is not None
        if any(one.return_id == begins for one in order.returns):
            return  # the same key: the answer is replayed
        with suppress(NotAllowed):  # the response
            published = act(order)
            if isinstance(published, list):
                tx.publish(*published)

    return do


def asking_again(order_id: UUID) -> Iterator[tuple[str, Command]]:
    """A refused part is asked for again after a day, by when the provider has forgotten its answer."""
    for what, refund_id in zip(("the piece", "the money"), _ids(order_id), strict=True):

        async def again(tx: Tx, refund_id: UUID = refund_id) -> None:
            payment, refund = await tx.get(Payment, order_id), await tx.get(Refund, refund_id)
            if payment is not None and refund is not None and refund.refused < MOST_REFUSALS:
                retry_part(payment, refund, tx)

        key = f"refund_part:{refund_id}"
        yield f"refund {what} again", Command(again, after=REFUND_RETRY_AFTER, forgets=key)


def due(order: Order) -> int:
    """What may be given back of it while it is paid."""
    return sum(one.amount for one in order.returns if one.is_due)


def snapshot(order: Order) -> tuple[ReturnRecord, ...]:
    return tuple(
        ReturnRecord(
            str(one.return_id),
            one.amount,
            {line.sku: line.quantity for line in one.restocks},
            one.is_due,
            one.restocked_at is not None,
            one.refunded_at is not None,
        )
        for one in order.returns
    )


def is_restocked_rightly(order: Order, hold: Hold | None) -> bool:
    back = set(hold.returned) if hold is not None else set()
    return back <= {str(one.return_id) for one in order.returns if one.is_due}
