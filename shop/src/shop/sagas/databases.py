"""The services' databases, read as the operator without writing anything."""

import json
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Column, any_, bindparam, select, text
from sqlalchemy import types as sql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from chassis.http.problems import Problem
from chassis.saga.tx import key_of
from chassis.storage.database import connect
from notification.domain import Correspondence
from notification.tables import correspondence as correspondence_table
from order import schemas
from order.domain import Order
from order.store import Orders
from order.tables import orders as orders_table
from payment.domain import Payment
from payment.refunds import Refund
from payment.tables import payment as payment_table
from payment.tables import refund as refund_table
from product.domain import Hold
from product.tables import hold as hold_table
from shop.errors import ShopError
from shop.targets import SERVICES, Target

TIMEOUT_SECONDS = 15

Row = TypeVar("Row")

_KEYS: dict[type, Column[UUID]] = {
    Order: orders_table.c.order_id,
    Payment: payment_table.c.order_id,
    Hold: hold_table.c.order_id,
    Correspondence: correspondence_table.c.subject_id,
    Refund: refund_table.c.order_id,
}


@dataclass(frozen=True)
class ReadOnlyDatabases:
    """All databases of a shop, as the operator; every transaction is read-only."""

    engines: dict[str, AsyncEngine]

    async def rows(self, database: str, query: str, **parameters: Any) -> Sequence[Any]:
        async with self.engines[database].connect() as connection:
            await connection.execute(text("SET TRANSACTION READ ONLY"))
            return (await connection.execute(text(query), parameters)).all()

    async def load(self, database: str, row_type: type[Row], ids: Collection[UUID]) -> dict[UUID, Row]:
        """The services' own domain objects by key, so that their own rules can be asked."""
        column = _KEYS[row_type]
        wanted = any_(bindparam(None, list(ids), type_=sql.ARRAY(column.type)))
        async with AsyncSession(self.engines[database], expire_on_commit=False) as session:
            await session.execute(text("SET TRANSACTION READ ONLY"))
            found = (await session.scalars(select(row_type).where(column == wanted))).all()
        return {key_of(row): row for row in found}


@asynccontextmanager
async def open_databases(target: Target) -> AsyncIterator[ReadOnlyDatabases]:
    """Raises ShopError if PostgreSQL does not answer."""
    async with AsyncExitStack() as closing:
        engines = {}
        for name in SERVICES:
            url = target.operator_dsn(name).replace("postgresql:", "postgresql+asyncpg:", 1)
            engines[name] = connect(url, pool_size=2, statement_timeout=TIMEOUT_SECONDS)
            closing.push_async_callback(engines[name].dispose)
        try:
            yield ReadOnlyDatabases(engines)
        except (OSError, DBAPIError, Problem) as error:
            raise ShopError(f"PostgreSQL: {_first_line(error)}; see `shop status`") from error


async def load_saga(
    databases: ReadOnlyDatabases, order: UUID | str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The order with that id or number, and its timeline, as order's API shows them.

    Raises ShopError if there is none.
    """
    orders = Orders(databases.engines["order"])
    row = await orders.find(order)
    if row is None:
        raise ShopError(f"no order {order}: `shop saga list --state pending` lists some")
    timeline = [schemas.event_view(one) for one in await orders.timeline(order) if one["type"] is not None]
    return _plain(schemas.order_view(row)), _plain(timeline)


async def list_orders(databases: ReadOnlyDatabases, state: str, limit: int) -> list[dict[str, Any]]:
    """The newest orders of that state."""
    rows = await Orders(databases.engines["order"]).page(limit, status=state)
    listed: list[dict[str, Any]] = _plain([schemas.order_view(row) for row in rows])
    return listed


def _plain(value: Any) -> Any:
    return json.loads(schemas.dumps(value))


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0] or repr(error)
