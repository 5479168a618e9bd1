"""The catalogue's public reads: one SQL statement each, from rows straight to JSON.

Lists have keyset pagination: a cursor names the last row of a page, so that no page skips or repeats rows
when others are added.
"""

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.http.problems import Unprocessable
from chassis.storage.raw_sql import fetch
from contracts import cleaned
from product.schemas import ListParameters, Sort

_AVAILABLE = "CASE WHEN s.status = 'active' THEN s.on_hand ELSE 0 END"
_LISTED = f"p.sku, p.name, p.category, p.price, p.currency, p.status, {_AVAILABLE} AS available"
_SELECT = "SELECT {columns} FROM product p JOIN stock s ON s.sku = p.sku WHERE {conditions}"
_ONE = _SELECT.format(
    columns=f"{_LISTED}, p.description, p.created_at, p.updated_at", conditions="p.sku = $1"
)
# The subquery hides the number of skus from the planner. Otherwise it would plan each call again, which costs
# five times as much as the read.
_BULK = _SELECT.format(columns=_LISTED, conditions="p.sku = ANY((SELECT $1::text[])::text[]) ORDER BY p.sku")
_WORDS = "websearch_to_tsquery('english', $1)"


class BadCursor(Unprocessable):
    """422: the cursor is malformed, or was issued for another sort order."""

    type = "/problems/bad-cursor"
    title = "Bad cursor"


@dataclass(frozen=True)
class SortOrder:
    """Sorts by `column` and then by sku, both in the same direction. `read` checks and converts the column's
    value from a cursor, which anybody may have written; it raises `TypeError`, `ValueError` or
    `OverflowError`."""

    column: str
    read: Callable[[Any], Any]
    descending: bool = False


@dataclass(frozen=True)
class Page:
    """A page of rows, and the cursor of the next one unless it is the last."""

    items: list[dict[str, Any]]
    cursor: str | None


class Catalogue:
    """Reads without locks and without a transaction."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def bulk(self, skus: Sequence[str]) -> bytes:
        """Those of the products that exist, retired ones included, as a JSON page."""
        rows = await fetch(self._engine, _BULK, skus)
        return orjson.dumps({"items": [_one_line(row) for row in rows], "next": None, "corrected": {}})

    async def one(self, sku: str) -> bytes | None:
        """A product as JSON, retired or not."""
        rows = await fetch(self._engine, _ONE, sku)
        return orjson.dumps(_one_line(rows[0])) if rows else None

    async def page(self, wanted: ListParameters) -> Page:
        """One page. Raises BadCursor."""
        statement, values = _page(wanted)
        rows = await fetch(self._engine, statement, *values)
        items = [_one_line(row) for row in rows[: wanted.limit]]
        sort_values = [item.pop("sort_value") for item in items]
        more = len(rows) > wanted.limit
        return Page(items, encode(wanted.order, sort_values[-1], items[-1]["sku"]) if more else None)


def _page(wanted: ListParameters) -> tuple[str, list[Any]]:
    """The statement that reads one row more than the page has, and its values."""
    order = SORT_ORDERS[wanted.order]
    conditions = [f"p.status = '{wanted.status or 'active'}'"]  # literally, for the partial indexes
    values: list[Any] = []
    if wanted.q is not None:
        conditions.append(f"p.search @@ {_WORDS}")
        values.append(wanted.q)
    for condition, value in (
        ("p.category =", wanted.category),
        ("p.price >=", wanted.price_min),
        ("p.price <=", wanted.price_max),
        (f"({_AVAILABLE} > 0) =", wanted.in_stock),
    ):
        if value is not None:
            values.append(value)
            conditions.append(f"{condition} ${len(values)}")
    if wanted.cursor is not None:
        values += decode(wanted.cursor, wanted.order)
        beyond = "<" if order.descending else ">"
        conditions.append(f"({order.column}, p.sku) {beyond} (${len(values) - 1}, ${len(values)})")
    values.append(wanted.limit + 1)
    direction = "DESC" if order.descending else "ASC"
    statement = _SELECT.format(
        columns=f"{_LISTED}, {order.column} AS sort_value", conditions=" AND ".join(conditions)
    )
    return f"{statement} ORDER BY {order.column} {direction}, p.sku {direction} LIMIT ${len(values)}", values


def _one_line(row: Mapping[str, Any]) -> dict[str, Any]:
    """Older releases accepted names that are not one line: clean them."""
    category = row["category"]
    return {**row, "name": cleaned(row["name"]), "category": category and cleaned(category)}


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
    except (ValueError, TypeError, OverflowError) as error:
        raise BadCursor("Use the `next` of a page, or start without a cursor.") from error


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise TypeError
    return value


def _bigint(value: Any) -> int:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise TypeError
    return value


def _rank(value: Any) -> float:
    if type(value) is not float or not math.isfinite(value):
        raise TypeError
    return value


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError
    return moment.astimezone(UTC)  # raises OverflowError for years that PostgreSQL's driver cannot convert


SORT_ORDERS: dict[Sort, SortOrder] = {
    "name": SortOrder("p.name", _text),
    "price": SortOrder("p.price", _bigint),
    "-price": SortOrder("p.price", _bigint, descending=True),
    "newest": SortOrder("p.created_at", _moment, descending=True),
    "relevance": SortOrder(f"ts_rank_cd(p.search, {_WORDS})::float8", _rank, descending=True),
}
