"""Keyset pagination: a cursor names the last row of a page, so that no page skips or repeats rows when others
are added."""

import base64
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from chassis.http.problems import Unprocessable
from product.browsing_schemas import Sort

WORDS = "(SELECT websearch_to_tsquery('english', $1))"


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
    "relevance": SortOrder(f"ts_rank_cd(p.search, {WORDS})::float8", _rank, descending=True),
}
