"""The catalogue's public reads: one SQL statement each, from rows straight to JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Select, bindparam, case, literal_column, select
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.storage.raw_sql import fetch
from contracts import cleaned
from product.domain import Status
from product.paging import SORT_ORDERS, TSQUERY, Sort, decode, encode
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
# The subquery hides the number of skus from the planner. Otherwise it would plan each call anew, which costs
# five times as much as the read.
_BULK = """
    SELECT p.sku, p.name, p.category, p.price, p.currency, p.status,
           CASE WHEN s.status = 'active' THEN s.on_hand ELSE 0 END AS available
    FROM product p JOIN stock s ON s.sku = p.sku WHERE p.sku = ANY((SELECT $1::text[])::text[]) ORDER BY p.sku
"""
_one = _listed.add_columns(product.c.description, product.c.created_at, product.c.updated_at).where(
    product.c.sku == bindparam("sku")
)


@dataclass(frozen=True)
class Criteria:
    """What a list or search asks for; prices in minor units."""

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
class Page:
    """A page of rows, and the cursor of the next one unless it is the last."""

    items: list[dict[str, Any]]
    cursor: str | None


class Catalogue:
    """Reads without locks and without a transaction."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def bulk(self, skus: Sequence[str]) -> bytes:
        """Those of the products that exist, retired ones included, as a JSON page."""
        rows = await fetch(self._engine, _BULK, skus)
        return orjson.dumps({"items": [_one_line(dict(row)) for row in rows], "next": None, "corrected": {}})

    async def one(self, sku: str) -> bytes | None:
        """A product as JSON, retired or not."""
        rows = await self._rows(_one, {"sku": sku})
        return orjson.dumps(_one_line(rows[0])) if rows else None

    async def page(self, criteria: Criteria) -> Page:
        """One page. Raises BadCursor."""
        order = SORT_ORDERS[criteria.sort]
        after = decode(criteria.cursor, criteria.sort) if criteria.cursor is not None else None
        query = _filtered(_listed.add_columns(order.column.label("sort_value")), criteria)
        rows = await self._rows(order.page(query, after).limit(criteria.limit + 1), {"q": criteria.q})
        items = [_one_line(row) for row in rows[: criteria.limit]]
        values = [item.pop("sort_value") for item in items]
        more = len(rows) > criteria.limit
        return Page(items, encode(criteria.sort, values[-1], items[-1]["sku"]) if more else None)

    async def _rows(self, statement: Any, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        async with self._engine.connect() as connection:
            result = await connection.execute(statement, parameters)
            names = list(map(str, result.keys()))  # orjson takes no subclass of str for a key
            return [dict(zip(names, row, strict=True)) for row in result]


def _one_line(row: dict[str, Any]) -> dict[str, Any]:
    """Older releases accepted names that are not one line: clean them."""
    row["name"] = cleaned(row["name"])
    row["category"] = row["category"] and cleaned(row["category"])
    return row


def _filtered(query: Select[Any], criteria: Criteria) -> Select[Any]:
    if criteria.q is not None:
        query = query.where(product.c.search.op("@@")(TSQUERY))
    if criteria.category is not None:
        query = query.where(product.c.category == criteria.category)
    if criteria.price_min is not None:
        query = query.where(product.c.price >= criteria.price_min)
    if criteria.price_max is not None:
        query = query.where(product.c.price <= criteria.price_max)
    if criteria.in_stock is not None:
        query = query.where((_available > 0) == criteria.in_stock)
    # The status is a literal, so that the partial indexes can be used.
    return query.where(product.c.status == literal_column(f"'{criteria.status}'"))
