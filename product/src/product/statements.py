"""The statements of lists and searches: what each reads is bounded, however many products there are.

A list that an index has in its sequence is a walk along that index. Filters that the index does not have are
applied to the rows of the walk, which ends after `WALKED` rows. When these filters leave few products, a walk
would pass many rows in vain: so the products are read by the filters' own index first, and sorted. Only if
they are more than `MATCHES` the walk is taken, which then finds a page soon. A search by relevance ranks
`MATCHES` products at most.

Whatever could make the planner read a whole table for a value that is common in the catalogue is hidden from
it in subqueries.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from product.browsing_schemas import ListParameters
from product.cursors import SORT_ORDERS, WORDS, decode

AVAILABLE = "CASE WHEN s.status = 'active' THEN s.on_hand ELSE 0 END"
LISTED = "p.sku, p.name, p.category, p.price, p.currency, p.status, p.picture, p.picture_alt"
MATCHES = 2000
WALKED = 10_000

_STOCK = "JOIN stock s ON s.sku = p.sku"
# One row at least, which says whether there are more matches.
_MATCHES = """
    WITH found AS MATERIALIZED (
        SELECT {listed}, {column} AS sort_value FROM product p WHERE {conditions} LIMIT {most} + 1
    )
    SELECT (SELECT count(*) FROM found) > {most} AS more, page.* FROM (VALUES (1)) AS one LEFT JOIN (
        SELECT {listed}, {available} AS available, p.sort_value FROM found p {stock} WHERE {filters}
        ORDER BY p.sort_value {direction}, p.sku {direction} LIMIT {limit}
    ) AS page ON true ORDER BY page.sort_value {direction}, page.sku {direction}"""
_WALKED = """
    SELECT p.* FROM product p WHERE {conditions}
    ORDER BY {column} {direction}, p.sku {direction}"""
_WALK = f"""
    SELECT {{listed}}, {{available}} AS available, {{column}} AS sort_value
    FROM ({_WALKED} LIMIT {WALKED}) AS p {{stock}} WHERE {{filters}}
    ORDER BY {{column}} {{direction}}, p.sku {{direction}} LIMIT {{limit}}
"""  # noqa: S608
_WALK_END = f"""
    SELECT p.sku, {{column}} AS sort_value FROM ({_WALKED} OFFSET {WALKED - 1} LIMIT 1) AS p
"""  # noqa: S608


class Statement(NamedTuple):
    """A statement and the values of its parameters."""

    text: str
    values: Sequence[Any]


class _Conditions:
    """Conditions on the product, those that are applied `later`, and the values of their parameters."""

    def __init__(self, wanted: ListParameters, *values: Any) -> None:
        self.values = [*values]
        self.product = [f"p.status = '{wanted.status or 'active'}'"]  # literally, for the partial indexes
        self.later = ["true"]
        if wanted.category is not None:
            self.product.append(f"p.category = {self.parameter(wanted.category)}")

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
    by_price = wanted.price_min is not None or wanted.price_max is not None
    return wanted.q is not None or (by_price and not _is_by_price(wanted))


def matches(wanted: ListParameters, most: int = MATCHES) -> Statement:
    """Reads up to `most` products that match, sorts these, and says whether there are `more`. Raises
    BadCursor."""
    if wanted.q is None:
        where = _Conditions(wanted)
        where.product += where.prices(wanted, "p.price")
    else:
        where = _Conditions(wanted, wanted.q)
        where.product.append(f"p.search @@ {WORDS}")
        # Not by the index of prices: that of the search finds fewer products.
        where.product += where.prices(wanted, "p.price + 0")
    where.add_stock(wanted)
    where.later += where.cursor(wanted, "p.sort_value")
    return _statement(_MATCHES, wanted, where, most=most, limit=where.parameter(wanted.limit + 1))


def walk(wanted: ListParameters) -> Statement:
    """Reads one row more than the page has, from at most `WALKED` in the wanted sequence. Raises
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
    return _statement(_WALK, wanted, where, limit=where.parameter(wanted.limit + 1))


def walk_end(wanted: ListParameters) -> Statement:
    """Reads the last row of the walk, if that ends before its index does."""
    return _statement(_WALK_END, wanted, _walked(wanted))


def _walked(wanted: ListParameters) -> _Conditions:
    where = _Conditions(wanted)
    if _is_by_price(wanted):
        where.product += where.prices(wanted, "p.price")
    where.product += where.cursor(wanted, SORT_ORDERS[wanted.order].column)
    return where


def _is_by_price(wanted: ListParameters) -> bool:
    return wanted.order in ("price", "-price")


def _statement(template: str, wanted: ListParameters, where: _Conditions, **names: Any) -> Statement:
    order = SORT_ORDERS[wanted.order]
    text = template.format(
        listed=LISTED,
        available=AVAILABLE,
        stock=_STOCK,
        column=order.column,
        direction="DESC" if order.descending else "ASC",
        conditions=" AND ".join(where.product),
        filters=" AND ".join(where.later),
        **names,
    )
    return Statement(text, where.values)
