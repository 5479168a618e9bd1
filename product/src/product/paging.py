"""Keyset pages: a cursor names the last row that was seen, so that no page skips or repeats what moves."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import orjson
from sqlalchemy import ColumnElement, Select, Text, bindparam, cast, func, tuple_
from sqlalchemy.types import Double

from chassis.problems import Unprocessable
from product.tables import product

Sort = Literal["name", "price", "-price", "newest", "relevance"]


class BadCursor(Unprocessable):
    """422: a cursor that was not made here, or for another order of the list."""

    type = "/problems/bad-cursor"
    title = "Bad cursor"


@dataclass(frozen=True)
class Order:
    """A sort: by `column` and then by sku, both in the same direction; `read` takes the column's value
    from a cursor and raises `TypeError` or `ValueError` if it is none."""

    column: ColumnElement[Any]
    read: Callable[[Any], Any]
    descending: bool = False

    def page(self, query: Select[Any], after: tuple[Any, str] | None) -> Select[Any]:
        """The query in this order, from behind the row that a cursor names."""
        key = (self.column, product.c.sku)
        if after is not None:
            here, seen = tuple_(*key), tuple_(*after, types=[self.column.type, Text()])
            query = query.where(here < seen if self.descending else here > seen)
        return query.order_by(*(part.desc() if self.descending else part for part in key))


def encode(sort: Sort, seen: Any, sku: str) -> str:
    """A cursor behind the row that has `seen` in the sort's column."""
    return base64.urlsafe_b64encode(orjson.dumps([sort, seen, sku])).decode().rstrip("=")


def decode(cursor: str, sort: Sort) -> tuple[Any, str]:
    """The sort column's value and the sku of the row that was last seen. Raises BadCursor."""
    try:
        made_for, seen, sku = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if made_for != sort:
            raise ValueError
        return ORDERS[sort].read(seen), _text(sku)
    except (ValueError, TypeError) as error:
        raise BadCursor("Follow the `next` of a page, or begin without a cursor.") from error


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


ASKED = func.websearch_to_tsquery("english", bindparam("q", type_=Text()))
ORDERS: dict[Sort, Order] = {
    "name": Order(product.c.name, _text),
    "price": Order(product.c.price, _bigint),
    "-price": Order(product.c.price, _bigint, descending=True),
    "newest": Order(product.c.created_at, _moment, descending=True),
    "relevance": Order(cast(func.ts_rank_cd(product.c.search, ASKED), Double()), float, descending=True),
}
