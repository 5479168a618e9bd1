"""The statements of lists: what each reads is bounded, however many products there are.

A list that an index has in its sequence is a walk along that index; filters that the index does not have are
applied to the rows of the walk. When they leave few products, a walk would pass many rows in vain: so after
`SHORT` rows the products are read by the filters' own index instead, and sorted (`matching.py`). Only if
these are too many for that the walk goes on, up to `LONG` rows.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from product.browsing_schemas import ListParameters
from product.cursors import SORT_ORDERS, decode

AVAILABLE = "CASE WHEN s.status = 'active' THEN s.on_hand ELSE 0 END"
LISTED = "p.sku, p.name, p.category, p.price, p.currency, p.status, p.picture, p.picture_alt"

READ = f"{LISTED}, p.created_at, p.search"
SHORT = 500
LONG = 5000

_WALKED = f"""
    SELECT {READ} FROM product p WHERE {{conditions}}
    ORDER BY {{column}} {{direction}}, p.sku {{direction}}"""  # noqa: S608
_WALK = f"""
    SELECT {{listed}}, {{available}} AS available, {{column}} AS sort_value
    FROM ({_WALKED} LIMIT {{rows}}) AS p JOIN stock s ON s.sku = p.sku WHERE {{filters}}
    ORDER BY {{column}} {{direction}}, p.sku {{direction}} LIMIT {{limit}}
"""  # noqa: S608
_WALK_END = """
    SELECT p.sku, {column} AS sort_value FROM product p WHERE {conditions}
    ORDER BY {column} {direction}, p.sku {direction} OFFSET {rows} - 1 LIMIT 1"""


class Statement(NamedTuple):
    """A statement and the values of its parameters."""

    text: str
    values: Sequence[Any]


class Conditions:
    """Conditions on the product, those that are applied `later`, and the values of their parameters."""

    def __init__(self, wanted: ListParameters, *values: Any) -> None:
        self.values = [*values]
        self.later = ["true"]
        status = f"'{wanted.status or 'active'}'"
        if wanted.category is None:
            self.product = [f"p.status = {status}"]  # literally, for the partial indexes
        else:  # not by those, in which the planner would look for a common category
            self.product = [
                f"p.status = (SELECT {status})",
                f"p.category = {self.parameter(wanted.category)}",
            ]

    def parameter(self, value: Any) -> str:
        self.values.append(value)
        return f"${len(self.values)}"

    def add_stock(self, wanted: ListParameters) -> None:
        if wanted.in_stock is not None:
            self.later.append(f"({AVAILABLE} > 0) = {self.parameter(wanted.in_stock)}")

    def prices(self, wanted: ListParameters, column: str) -> list[str]:
        bounds = ((">=", wanted.price_min), ("<=", wanted.price_max))
        return [
            f"{column} {compared} (SELECT {self.parameter(price)}::bigint)"
            for compared, price in bounds
            if price is not None
        ]

    def cursor(self, wanted: ListParameters, column: str) -> list[str]:
        if wanted.cursor is None:
            return []
        value, sku = decode(wanted.cursor, wanted.order)
        beyond = "<" if SORT_ORDERS[wanted.order].descending else ">"
        return [f"({column}, p.sku) {beyond} ({self.parameter(value)}, {self.parameter(sku)})"]


def has_filters(wanted: ListParameters) -> bool:
    """Whether there are filters that no index has in the wanted sequence."""
    return wanted.in_stock is not None or is_narrowed(wanted)


def is_narrowed(wanted: ListParameters) -> bool:
    """Whether there are such filters that have an index of their own."""
    return wanted.q is not None or (wanted.has_prices and not _is_by_price(wanted))


def walk(wanted: ListParameters, rows: int) -> Statement:
    """Reads one row more than the page has, from at most so many `rows` in the wanted sequence. Raises
    BadCursor."""
    where = _walked(wanted)
    if not _is_by_price(wanted):
        where.later += where.prices(wanted, "p.price")
    if wanted.q is not None:
        # `@@` without its index.
        where.later.append(
            f"ts_match_vq(p.search, websearch_to_tsquery('english', {where.parameter(wanted.q)}))"
        )
    where.add_stock(wanted)
    return statement(_WALK, wanted, where, rows=rows, limit=where.parameter(wanted.limit + 1))


def walk_end(wanted: ListParameters, rows: int) -> Statement:
    """Reads the last row of such a walk, if that ends before its index does."""
    return statement(_WALK_END, wanted, _walked(wanted), rows=rows)


def _walked(wanted: ListParameters) -> Conditions:
    where = Conditions(wanted)
    if _is_by_price(wanted):
        where.product += where.prices(wanted, "p.price")
    where.product += where.cursor(wanted, SORT_ORDERS[wanted.order].column)
    return where


def _is_by_price(wanted: ListParameters) -> bool:
    return wanted.order in ("price", "-price")


def statement(template: str, wanted: ListParameters, where: Conditions, **names: Any) -> Statement:
    """The template with the list's columns, conditions and sequence, and other `names`."""
    order = SORT_ORDERS[wanted.order]
    text = template.format(
        listed=LISTED,
        available=AVAILABLE,
        column=order.column,
        direction="DESC" if order.descending else "ASC",
        conditions=" AND ".join(where.product),
        filters=" AND ".join(where.later),
        **names,
    )
    return Statement(text, where.values)
