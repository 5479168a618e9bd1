"""Keyset pagination: a cursor names the last row of a page, so that no page skips or repeats rows when others
are added."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import orjson
from sqlalchemy import ColumnElement, Select, Text, bindparam, cast, func, tuple_
from sqlalchemy.types import Double

from chassis.http.problems import Unprocessable
from product.tables import product

Sort = Literal["name", "price", "-price", "newest", "relevance"]


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


TSQUERY = func.websearch_to_tsquery("english", bindparam("q", type_=Text()))
SORT_ORDERS: dict[Sort, SortOrder] = {
    "name": SortOrder(product.c.name, _text),
    "price": SortOrder(product.c.price, _bigint),
    "-price": SortOrder(product.c.price, _bigint, descending=True),
    "newest": SortOrder(product.c.created_at, _moment, descending=True),
    "relevance": SortOrder(
        cast(func.ts_rank_cd(product.c.search, TSQUERY), Double()), float, descending=True
    ),
}
