"""The catalogue's public reads: one SQL statement each, from rows straight to JSON.

Lists have keyset pagination: a cursor names the last row of a page, so that no page skips or repeats rows
when others are added.
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import orjson
from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.types import Double

from chassis.http.problems import Unprocessable
from chassis.storage.raw_sql import fetch
from contracts import cleaned
from product.domain import Status
from product.tables import product, stock

Sort = Literal["name", "price", "-price", "newest", "relevance"]

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
TSQUERY = func.websearch_to_tsquery("english", bindparam("q", type_=Text()))


class BadCursor(Unprocessable):
    """422: the cursor is malformed, or was issued for another sort order."""

    type = "/problems/bad-cursor"
    title = "Bad cursor"


@dataclass(frozen=True)
class SortOrder:
    """Sorts by `column` and then by sku, both in the same direction. `read` checks and converts the column's
    value from a cursor; it raises `TypeError` or `ValueError`."""

    column: ColumnElement[Any]
    read: Callable[[Any], Any]
    descending: bool = False

    def page(self, query: Select[Any], after: tuple[Any, str] | None) -> Select[Any]:
        """The query in this order, starting after the row that a cursor names."""
        key = (self.column, product.c.sku)
        if after is not None:
            row, last = tuple_(*key), tuple_(*after, types=[self.column.type, Text()])
            query = query.where(row < last if self.descending else row > last)
        return query.order_by(*(part.desc() if self.descending else part for part in key))


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


def encode(sort: Sort, value: Any, sku: str) -> str:
    """A cursor after the row that has `value` in the sort's column."""
    return base64.urlsafe_b64encode(orjson.dumps([sort, value, sku])).decode().rstrip("=")


def decode(cursor: str, sort: Sort) -> tuple[Any, str]:
    """The sort column's value and the sku of the last row of the page before. Raises BadCursor."""
    try:
        issued_for, value, sku = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if issued_for != sort:
            raise ValueError
        return SORT_ORDERS[sort].read(value), _text(sku)
    except (ValueError, TypeError) as error:
        raise BadCursor("Use the `next` of a page, or start without a cursor.") from error


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise TypeError
    return value


def _bigint(value: Any) -> int:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise TypeError
    return value


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError
    return moment


SORT_ORDERS: dict[Sort, SortOrder] = {
    "name": SortOrder(product.c.name, _text),
    "price": SortOrder(product.c.price, _bigint),
    "-price": SortOrder(product.c.price, _bigint, descending=True),
    "newest": SortOrder(product.c.created_at, _moment, descending=True),
    "relevance": SortOrder(
        cast(func.ts_rank_cd(product.c.search, TSQUERY), Double()), float, descending=True
    ),
}
