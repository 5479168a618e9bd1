"""Facets and categories: how many products each value of a filter would list.

Without a search they are counted in memory: the prices of all products for sale, sorted, by category and
whether they are in stock, are read again when they are older than `age` seconds. The matches of a search are
counted by the database, at most `COUNTED`.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.storage.raw_sql import fetch
from contracts import CURRENCIES, cleaned
from product.browsing_schemas import Filters
from product.kept import Kept
from product.matching import counts
from product.price_ranges import bounds, ranges

COUNTED = 1000
MOST_CATEGORIES = 100
_HIGHEST = 2**63 - 1

_SHELVES = """
    SELECT p.category, s.on_hand > 0 AS in_stock, array_agg(p.price) AS prices,
        min(p.picture) AS picture
    FROM product p JOIN stock s ON s.sku = p.sku WHERE p.status = 'active' GROUP BY 1, 2"""
_QUINTILES = """
    SELECT currency, percentile_disc(ARRAY[0.2, 0.4, 0.6, 0.8]) WITHIN GROUP (ORDER BY price) AS prices
    FROM product WHERE status = 'active' GROUP BY currency ORDER BY count(*) DESC, currency LIMIT 1"""


class Cell(NamedTuple):
    """How many products are alike: in a category, in stock or not, in the price range with that number,
    within the prices that are wanted or not."""

    category: str | None
    in_stock: bool
    price_range: int
    is_priced: bool
    products: int


@dataclass(frozen=True)
class Shelf:
    """The products for sale of one category that are in stock, or those that are not; `prices` ascend."""

    category: str | None
    in_stock: bool
    prices: Sequence[int]
    picture: str | None


@dataclass(frozen=True)
class Shelves:
    """All products for sale; `currency` is their commonest, and `bounds` are those of its price ranges."""

    shelves: Sequence[Shelf]
    currency: str | None
    bounds: list[int]

    def categories(self) -> list[dict[str, Any]]:
        """All categories by name, each with its number of products and the picture of one."""
        counts: Counter[str] = Counter()
        pictures: dict[str, str] = {}
        for shelf in self.shelves:
            if shelf.category is not None:
                counts[shelf.category] += len(shelf.prices)
                if shelf.picture is not None:
                    pictures.setdefault(shelf.category, shelf.picture)
        return [
            {"category": cleaned(name), "count": count, "picture": pictures.get(name)}
            for name, count in sorted(counts.items())
        ]

    def cells(self, wanted: Filters) -> Iterator[Cell]:
        lowest, highest = _prices(wanted)
        for shelf in self.shelves:
            for number, (first, last) in enumerate(ranges(self.bounds)):
                low, high = first or 0, _HIGHEST if last is None else last
                count = _between(shelf.prices, low, high)
                priced = _between(shelf.prices, max(low, lowest), min(high, highest))
                yield Cell(shelf.category, shelf.in_stock, number, True, priced)
                yield Cell(shelf.category, shelf.in_stock, number, False, count - priced)


class Counts:
    """Counts products for facets and categories."""

    def __init__(self, engine: AsyncEngine, *, age: float) -> None:
        self._engine = engine
        self._shelves = Kept(self._read, age=age)

    async def shelves(self) -> Shelves:
        """All products for sale, as they were some seconds ago."""
        return await self._shelves.get()

    async def facets(self, wanted: Filters) -> dict[str, Any]:
        """Facets as in the API, but for the misspelt words."""
        shelves = await self.shelves()
        if wanted.q is None:
            cells, capped = [*shelves.cells(wanted)], False
        else:
            cells, capped = await self._matches(wanted.q, shelves.bounds, _prices(wanted))
        return {**tally(cells, wanted, shelves.bounds), "currency": shelves.currency, "capped": capped}

    async def _matches(
        self, q: str, bounds: Sequence[int], prices: tuple[int, int]
    ) -> tuple[list[Cell], bool]:
        """The matches of a search, and whether there are more."""
        statement = counts(q, bounds, prices, COUNTED)
        rows = await fetch(self._engine, statement.text, *statement.values)
        return [Cell(*row[:5]) for row in rows], any(row["more"] for row in rows)

    async def _read(self) -> Shelves:
        shelves = [
            Shelf(row["category"], row["in_stock"], array("q", sorted(row["prices"])), row["picture"])
            for row in await fetch(self._engine, _SHELVES)
        ]
        for row in await fetch(self._engine, _QUINTILES):
            currency = row["currency"]
            step = CURRENCIES[currency].step if currency in CURRENCIES else 1
            return Shelves(shelves, currency, bounds(row["prices"], step))
        return Shelves(shelves, None, [])


def tally(cells: Iterable[Cell], wanted: Filters, bounds: Sequence[int]) -> dict[str, Any]:
    """Add the cells up, for each facet with all filters but its own."""
    categories: Counter[str] = Counter()
    prices: Counter[int] = Counter()
    stock: Counter[bool] = Counter()
    total = 0
    for cell in cells:
        in_category = wanted.category is None or cell.category == wanted.category
        in_stock = wanted.in_stock is None or cell.in_stock == wanted.in_stock
        if in_stock and cell.is_priced and cell.category is not None:
            categories[cell.category] += cell.products
        if in_category and in_stock:
            prices[cell.price_range] += cell.products
        if in_category and cell.is_priced:
            stock[cell.in_stock] += cell.products
            total += cell.products * in_stock
    largest = sorted((-count, name) for name, count in categories.items() if count)[:MOST_CATEGORIES]
    return {
        "total": total,
        "categories": [{"category": cleaned(name), "count": -count} for count, name in largest],
        "prices": [
            {"price_min": first, "price_max": last, "count": prices[number]}
            for number, (first, last) in enumerate(ranges(bounds))
        ],
        "in_stock": stock[True],
        "out_of_stock": stock[False],
    }


def _prices(wanted: Filters) -> tuple[int, int]:
    """The lowest and the highest price that are wanted."""
    return wanted.price_min or 0, _HIGHEST if wanted.price_max is None else wanted.price_max


def _between(prices: Sequence[int], lowest: int, highest: int) -> int:
    """How many of the ascending prices are neither below the one nor above the other."""
    return max(0, bisect_right(prices, highest) - bisect_left(prices, lowest))
