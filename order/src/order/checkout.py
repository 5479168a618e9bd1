"""From a cart to a pending order: read the neighbours first, then commit everything at once or nothing."""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID
from weakref import WeakValueDictionary

from sqlalchemy import insert

from chassis.database import Transactions
from chassis.idempotency import Claim
from chassis.problems import Conflict, Unprocessable
from contracts import Line, Money
from order import views
from order.clients import Carts, Offers
from order.domain import Address, Limits, Order, Refused, Wanted, priced
from order.store import count_open
from order.tables import orders


class NotOrderable(Unprocessable):
    """422: no order comes of this cart."""

    type = "/problems/cart-not-orderable"
    title = "The cart cannot be ordered"


class TooManyOpen(Conflict):
    """409: the shopper holds back as much stock as one may with orders that are not paid."""

    type = "/problems/too-many-open-orders"
    title = "Too many open orders"


@dataclass(frozen=True, slots=True)
class Request:
    """Who orders, and how it is to be paid, written to and shipped; `contact` is sealed."""

    shopper_id: UUID
    token: str
    payment_method: str
    contact: str
    shipping: Address | None


class Checkout:
    """Accepts checkouts. `patience` is how long an order may stay pending, `max_open` how many of a
    shopper's may be so at once: in one process never more, and with N of them never more than N - 1 over.
    """

    def __init__(
        self,
        transactions: Transactions,
        carts: Carts,
        offers: Offers,
        *,
        limits: Limits,
        patience: timedelta,
        max_open: int,
    ) -> None:
        self._transactions = transactions
        self._carts = carts
        self._offers = offers
        self._limits = limits
        self._patience = patience
        self._max_open = max_open
        self._turns: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    async def accept(self, request: Request, claim: Claim) -> tuple[bytes, dict[str, str]]:
        """Commit an order, `order.created` and the answer, which is returned: body and headers. Raises
        problems."""
        wanted = await self._carts.lines(request.token)
        lines, total = await self._price(wanted)
        order = self._order(request, lines, total)
        async with self._turns.setdefault(request.shopper_id, asyncio.Lock()):
            return await self._commit(order, claim)

    async def _price(self, wanted: Sequence[Wanted]) -> tuple[tuple[Line, ...], Money]:
        skus = [one.sku for one in wanted][: self._limits.lines]
        try:
            return priced(wanted, await self._offers.load(skus), self._limits)
        except Refused as refused:
            raise NotOrderable(str(refused), errors=refused.errors) from None

    def _order(self, request: Request, lines: tuple[Line, ...], total: Money) -> Order:
        now = datetime.now(UTC)
        return Order(
            order_id=new_order_id(),
            shopper_id=request.shopper_id,
            lines=lines,
            total=total.amount,
            currency=total.currency,
            payment_method=request.payment_method,
            contact=request.contact,
            created_at=now,
            deadline=now + self._patience,
            shipping=request.shipping,
        )

    async def _commit(self, order: Order, claim: Claim) -> tuple[bytes, dict[str, str]]:
        async with self._transactions() as tx:
            if await count_open(tx.session, order.shopper_id) >= self._max_open:
                raise TooManyOpen(f"At most {self._max_open} orders may wait for payment at once.")
            await tx.session.execute(insert(orders).values(**vars(order)))
            tx.publish(order.created())
            body, headers = accepted(order)
            await claim.settle(tx.session, 202, body, headers)
        return body, headers


def accepted(order: Order) -> tuple[bytes, dict[str, str]]:
    """The answer to a checkout."""
    links = views.links(order.order_id)
    body = {
        "order_id": order.order_id,
        "status": order.status,
        "total": {"amount": order.total, "currency": order.currency},
        "links": links,
    }
    return views.dumps(body), {"Location": links["self"], "Content-Type": "application/json"}


def new_order_id() -> UUID:
    """A UUID of version 7, so that newer orders come after older ones. Source: RFC 9562, 5.7."""
    stamp = time.time_ns() // 1_000_000 << 80
    chance = int.from_bytes(os.urandom(10)) & ~(0xF << 76) & ~(0x3 << 62)
    return UUID(int=stamp | 0x7 << 76 | 0x2 << 62 | chance)
