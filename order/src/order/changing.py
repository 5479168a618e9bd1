"""What the routes share that change an order: it is found, locked until the commit, and shown, and what staff
have done is recorded."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, Response

from chassis.http.identity import Principal
from chassis.http.problems import NotFound
from chassis.http.provided import Provided
from chassis.storage.database import Transactions
from chassis.storage.tx import SqlTx
from order import views
from order.api import OrderRef, ProvidedOrders, visible
from order.domain import Order
from order.ids import new_order_id
from order.problems import as_problems
from order.returns import Return
from order.store import Row
from order.timeline import StaffAction


class Change:
    """A change of the order that the request's path names."""

    def __init__(self, ref: OrderRef, orders: ProvidedOrders, transactions: Provided[Transactions]) -> None:
        self._ref = ref
        self._orders = orders
        self._transactions = transactions

    async def find(self, caller: Principal, scope: str) -> Row:
        """The id, owner and status of the order. Raises NotFound, see `visible`."""
        return visible(await self._orders.owner(self._ref), caller, scope)

    @asynccontextmanager
    async def of(self, found: Row) -> AsyncIterator[tuple[SqlTx, Order]]:
        """A transaction and the order, locked. What the domain refuses becomes a problem."""
        async with self._transactions() as tx:
            order = await tx.get(Order, found["order_id"])
            if order is None:
                raise NotFound("Order not found.")
            with as_problems():
                yield tx, order

    async def view(self, order: Order, caller: Principal, scope: str) -> Response:
        """The order as it is now."""
        row = visible(await self._orders.find(order.order_id), caller, scope)
        return views.response(views.order_view(row))


Changing = Annotated[Change, Depends()]


def audit(
    tx: SqlTx,
    staff: Principal,
    order: Order,
    action: str,
    one: Return | None = None,
    why: str | None = None,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Record at commit what staff have done to the order, about which return, and why."""
    details = dict(about or {})
    if one is not None:
        details = {"return_id": str(one.return_id), "amount": one.amount}
        details["lines"] = {line.sku: line.quantity for line in one.lines}
    tx.add(StaffAction(new_order_id(), order.order_id, action, staff.id, tx.now, why, details))
