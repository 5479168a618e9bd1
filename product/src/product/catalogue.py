"""What everybody may read of the catalogue: one statement each, straight from rows to JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Select, bindparam, case, literal_column, select
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.direct import fetch
from contracts import cleaned
from product.domain import Status
from product.paging import ASKED, ORDERS, Sort, decode, encode
from product.tables import product, stock

_available = case((stock.c.status == literal_column("'active'"), stock.c.on_hand), else_=literal_column("0"))
_listed = select(
    product.c.sku,
    product.c.name,
    product.c.category,
    product.c.price,
    product.c.currency,
    product.c.status,
    _available.label("available"),
).join_from(product, stock, stock.c.sku == product.c.sku)
# The subquery hides from the planner how many skus there are: it would plan each call anew, which costs
# five times what the read does.
_BULK = """
    SELECT p.sku, p.name, p.category, p.price, p.currency, p.status,
           CASE WHEN s.status = 'active' THEN s.on_hand ELSE 0 END AS available
    FROM product p JOIN stock s ON s.sku = p.sku WHERE p.sku = ANY((SELECT $1::text[])::text[]) ORDER BY p.sku
"""
_one = _listed.add_columns(product.c.description, product.c.created_at, product.c.updated_at).where(
    product.c.sku == bindparam("sku")
)


@dataclass(frozen=True)
class Sought:
    """What of the catalogue is asked for; prices in minor units."""

    sort: Sort
    limit: int
    cursor: str | None = None
    q: str | None = None
    category: str | None = None
    price_min: int | None = None
    price_max: int | None = None
    in_stock: bool | None = None
    status: Status = "active"


@dataclass(frozen=True)
class Found:
    """A page of rows, and the cursor behind it unless it is the last."""

    items: list[dict[str, Any]]
    cursor: str | None


class Catalogue:
    """Reads that take no locks and no transaction."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def bulk(self, skus: Sequence[str]) -> bytes:
        """The products that exist of those, retired ones included, as a JSON page."""
        rows = await fetch(self._engine, _BULK, skus)
        return orjson.dumps({"items": [_one_line(dict(row)) for row in rows], "next": None, "corrected": {}})

    async def one(self, sku: str) -> bytes | None:
        """A product as JSON, retired or not."""
        rows = await self._rows(_one, {"sku": sku})
        return orjson.dumps(_one_line(rows[0])) if rows else None

    async def page(self, sought: Sought) -> Found:
        """One page. Raises BadCursor."""
        order = ORDERS[sought.sort]
        after = decode(sought.cursor, sought.sort) if sought.cursor is not None else None
        query = _filtered(_listed.add_columns(order.column.label("seen")), sought)
        rows = await self._rows(order.page(query, after).limit(sought.limit + 1), {"q": sought.q})
        items = [_one_line(row) for row in rows[: sought.limit]]
        seen = [item.pop("seen") for item in items]
        more = len(rows) > sought.limit
        return Found(items, encode(sought.sort, seen[-1], items[-1]["sku"]) if more else None)

    async def _rows(self, statement: Any, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        async with self._engine.connect() as connection:
            result = await connection.execute(statement, parameters)
            names = list(map(str, result.keys()))  # orjson takes no subclass of str for a key
            return [dict(zip(names, row, strict=True)) for row in result]


def _one_line(row: dict[str, Any]) -> dict[str, Any]:
    """Rows of older releases may hold names that are refused today."""
    row["name"] = cleaned(row["name"])
    row["category"] = row["category"] and cleaned(row["category"])
    return row


def _filtered(query: Select[Any], sought: Sought) -> Select[Any]:
    if sought.q is not None:
        query = query.where(product.c.search.op("@@")(ASKED))
    if sought.category is not None:
        query = query.where(product.c.category == sought.category)
    if sought.price_min is not None:
        query = query.where(product.c.price >= sought.price_min)
    if sought.price_max is not None:
        query = query.where(product.c.price <= sought.price_max)
    if sought.in_stock is not None:
        query = query.where((_available > 0) == sought.in_stock)
    # The status is spelt out, so that the partial indexes serve.
    return query.where(product.c.status == literal_column(f"'{sought.status}'"))
