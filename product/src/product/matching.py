"""The statements that read what matches a search or a range of prices, at most so many products.

The index of words reads all entries of a word. So a word that many products have is looked for in the newest
`NEWEST` products instead, without that index. What could make the planner read a whole table for a value that
is common is hidden from it in subqueries.
"""

from collections.abc import Sequence

from product.browsing_schemas import ListParameters
from product.cursors import SORT_ORDERS, WORDS
from product.statements import AVAILABLE, LISTED, READ, Conditions, Statement, statement

MATCHES = 1000
NEWEST = 3000
_PROBED = 300  # of the newest products, of which a broad search finds one in five

_NEWEST = f"""
    SELECT {READ} FROM product p WHERE {{conditions}} ORDER BY p.created_at DESC, p.sku DESC"""  # noqa: S608
_FOUND = """
    WITH found AS MATERIALIZED (SELECT {columns} FROM product p WHERE {conditions} LIMIT {most} + 1)"""
_FOUND_BROADLY = f"""
    WITH probe AS MATERIALIZED (
        SELECT count(*) >= {_PROBED} / 5 OR querytree({WORDS}) IN ('', 'T') AS is_broad
        FROM ({_NEWEST} LIMIT {_PROBED}) AS p WHERE ts_match_vq(p.search, {WORDS})
    ), found AS MATERIALIZED (
        (SELECT {{columns}} FROM ({_NEWEST} LIMIT {NEWEST}) AS p
        WHERE (SELECT is_broad FROM probe) AND ts_match_vq(p.search, {WORDS}) LIMIT {{most}} + 1)
        UNION ALL
        (SELECT {{columns}} FROM product p
        WHERE NOT (SELECT is_broad FROM probe) AND {{conditions}} AND p.search @@ {WORDS} LIMIT {{most}} + 1)
    )
"""  # noqa: S608
_IS_MORE = "(SELECT count(*) FROM found) > {most}"
_IS_MORE_BROADLY = f"""
    {_IS_MORE} OR (SELECT is_broad FROM probe) AND EXISTS (
        SELECT FROM product p WHERE {{conditions}}
        ORDER BY p.created_at DESC, p.sku DESC OFFSET {NEWEST} LIMIT 1)
"""  # noqa: S608
# One row at least, which says whether there are more matches.
_MATCHES = """{found}
    SELECT {more} AS more, page.*, {available} AS available
    FROM (VALUES (1)) AS one LEFT JOIN (
        SELECT {listed}, p.sort_value FROM found p WHERE {filters}
        ORDER BY p.sort_value {direction}, p.sku {direction} LIMIT {limit}
    ) AS page ON true LEFT JOIN stock s ON s.sku = page.sku
    ORDER BY page.sort_value {direction}, page.sku {direction}"""
# A subquery, since the planner would join some thousand rows by reading all of the stock.
_IS_IN_STOCK = f"((SELECT {AVAILABLE} FROM stock s WHERE s.sku = p.sku) > 0)"  # noqa: S608
_COUNTS = f"""{{found}}
    SELECT p.category, {_IS_IN_STOCK} AS in_stock, width_bucket(p.price, $2::bigint[]) AS price_range,
        p.price BETWEEN $3 AND $4 AS is_priced, count(*) AS products, {{more}} AS more
    FROM found p GROUP BY 1, 2, 3, 4
"""  # noqa: S608


def matches(wanted: ListParameters, most: int) -> Statement:
    """Reads up to `most` products that match, sorts these, and says whether there are `more`. By relevance,
    those of a broad search are among the newest. Raises BadCursor."""
    where = Conditions(wanted) if wanted.q is None else Conditions(wanted, wanted.q)
    found, more = _FOUND, _IS_MORE
    if wanted.q is None:
        where.product += where.prices(wanted, "p.price")
    elif wanted.order == "relevance" and not wanted.has_prices:
        found, more = _FOUND_BROADLY, _IS_MORE_BROADLY
    else:
        where.product.append(f"p.search @@ {WORDS}")
        # Not by the index of prices: that of the search finds fewer products.
        where.product += where.prices(wanted, "p.price + 0")
    if wanted.in_stock is not None:
        where.later.append(f"{_IS_IN_STOCK} = {where.parameter(wanted.in_stock)}")
    where.later += where.cursor(wanted, "p.sort_value")
    columns = f"{LISTED}, {SORT_ORDERS[wanted.order].column} AS sort_value"
    names = {"conditions": " AND ".join(where.product), "columns": columns, "most": most}
    return statement(
        _MATCHES,
        wanted,
        where,
        found=found.format(**names),
        more=more.format(**names),
        limit=where.parameter(wanted.limit + 1),
    )


def counts(q: str, bounds: Sequence[int], prices: tuple[int, int], most: int) -> Statement:
    """Counts up to `most` matches of a search by category, stock, price range, and whether the price is one
    of those wanted; each row says whether there are `more`."""
    names = {"conditions": "p.status = 'active'", "columns": "p.sku, p.category, p.price", "most": most}
    text = _COUNTS.format(found=_FOUND_BROADLY.format(**names), more=_IS_MORE_BROADLY.format(**names))
    return Statement(text, [q, bounds, *prices])
