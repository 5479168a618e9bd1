"""The catalogue's public reads: one SQL statement each, from rows straight to JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.storage.raw_sql import fetch
from contracts import cleaned
from product.browsing_schemas import ListParameters
from product.cursors import encode
from product.matching import MATCHES, matches
from product.statements import (
    AVAILABLE,
    LISTED,
    LONG,
    SHORT,
    Statement,
    has_filters,
    is_narrowed,
    walk,
    walk_end,
)

_SELECT = "SELECT {columns} FROM product p JOIN stock s ON s.sku = p.sku WHERE {conditions}"
_COLUMNS = f"{LISTED}, {AVAILABLE} AS available"
_ONE = _SELECT.format(
    columns=f"{_COLUMNS}, p.description, p.created_at, p.updated_at", conditions="p.sku = $1"
)
# The subquery hides the number of skus from the planner. Otherwise it would plan each call again, which costs
# five times as much as the read.
_BULK = _SELECT.format(columns=_COLUMNS, conditions="p.sku = ANY((SELECT $1::text[])::text[]) ORDER BY p.sku")
# "C" sorts by bytes, so that all that starts alike is together: no other byte comes after U+10FFFF's.
_CODE = 'upper(p.sku) COLLATE "C"'
BY_CODE = (
    _SELECT.format(
        columns=_COLUMNS,
        conditions=f"p.status = 'active' AND {_CODE} >= $1 AND {_CODE} < $1 || U&'\\+10FFFF'",
    )
    + f" ORDER BY {_CODE} LIMIT $2"
)


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
        if wanted.order == "relevance":
            return (await self._matches(wanted, MATCHES))[0]
        if is_narrowed(wanted):
            page = _page(wanted, await self._fetch(walk(wanted, SHORT)))
            if page.cursor is not None:
                return page
            page, more = await self._matches(wanted, MATCHES)
            if not more:
                return page
        return await self._walk(wanted)

    async def best(self, q: str, limit: int, most: int) -> list[dict[str, Any]]:
        """The best of `most` products that a search finds."""
        return (await self._matches(ListParameters(q=q, limit=limit), most))[0].items

    async def by_code(self, beginning: str, limit: int) -> list[dict[str, Any]]:
        """Products for sale whose stock code starts so, in upper or lower case."""
        rows = await fetch(self._engine, BY_CODE, beginning.upper(), limit)
        return [_one_line(row) for row in rows]

    async def _matches(self, wanted: ListParameters, most: int) -> tuple[Page, bool]:
        """The page, and whether there are more matches than it was chosen from."""
        rows = await self._fetch(matches(wanted, most))
        found = [{**row} for row in rows if row["sku"] is not None]
        for row in found:
            del row["more"]
        return _page(wanted, found), rows[0]["more"]

    async def _walk(self, wanted: ListParameters) -> Page:
        """A page that lacks rows because the walk has ended early has a cursor where the walk ended."""
        page = _page(wanted, await self._fetch(walk(wanted, LONG)))
        if page.cursor is None and has_filters(wanted):
            for end in await self._fetch(walk_end(wanted, LONG)):
                return Page(page.items, encode(wanted.order, end["sort_value"], end["sku"]))
        return page

    async def _fetch(self, statement: Statement) -> Sequence[Any]:
        return await fetch(self._engine, statement.text, *statement.values)


def _page(wanted: ListParameters, rows: Sequence[Mapping[str, Any]]) -> Page:
    """Of one row more than the page has."""
    items = [_one_line(row) for row in rows[: wanted.limit]]
    sort_values = [item.pop("sort_value") for item in items]
    more = len(rows) > wanted.limit
    return Page(items, encode(wanted.order, sort_values[-1], items[-1]["sku"]) if more else None)


def _one_line(row: Mapping[str, Any]) -> dict[str, Any]:
    """Older releases accepted names that are not one line: clean them."""
    category = row["category"]
    return {**row, "name": cleaned(row["name"]), "category": category and cleaned(category)}
