"""With a large catalogue no list, search or facet reads the whole of it."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import asyncpg
import pytest

from product.browsing_schemas import ListParameters
from product.catalogue import BY_CODE
from product.matching import MATCHES, counts, matches
from product.settings import Settings
from product.statements import LONG, SHORT, Statement, walk, walk_end

MANY = 60_000
MOST_READ = 15_000
"""Rows that one step of a plan reads. An index of words is not counted: it reads all entries of a word."""


@pytest.fixture
async def database(
    settings: Settings, as_operator: Callable[[str], str]
) -> AsyncIterator[asyncpg.Connection]:
    """Of all products half are `common`, one in ten is `usual`, and one in a thousand is `rare`."""
    connection = await asyncpg.connect(as_operator(settings.database_url).replace("+asyncpg", ""))
    await connection.execute(
        f"""
        INSERT INTO product (sku, name, description, category, price, currency, created_at)
        SELECT 'P' || n, 'Thing ' || md5(n::text) || CASE WHEN n % 2 = 0 THEN ' common' ELSE '' END
                || CASE WHEN n % 10 = 1 THEN ' usual' ELSE '' END
                || CASE WHEN n % 1000 = 0 THEN ' rare' ELSE '' END,
            '', 'category ' || n % 20, (n * 7919) % 10000, 'GBP', now() - n % 9973 * interval '1 minute'
        FROM generate_series(1, {MANY}) AS n
        """
    )
    await connection.execute(
        "INSERT INTO stock SELECT sku, n, 0, 0, n, 'active' FROM (SELECT sku, price % 10 AS n FROM product)"
    )
    await connection.execute("VACUUM ANALYZE product")
    await connection.execute("ANALYZE stock")
    yield connection
    await connection.close()


FILTERS: list[dict[str, Any]] = [
    {},
    {"category": "category 3"},
    {"category": "category 3", "in_stock": True},
    {"in_stock": False},
    {"price_min": 100, "price_max": 120},
    {"category": "category 3", "price_min": 100},
    {"q": "common"},
    {"q": "usual"},
    {"q": "rare"},
    {"q": "common rare"},
    {"q": "common or usual"},
    {"q": "-common"},
    {"q": "rare", "price_max": 500, "in_stock": True},
    {"q": "common", "category": "category 3"},
    {"q": "usual", "category": "category 3"},
]
SORTS = ("name", "price", "-price", "newest")


@pytest.mark.parametrize("plans", ["force_custom_plan", "force_generic_plan"])
async def test_no_list_reads_a_whole_table(database: asyncpg.Connection, plans: str) -> None:
    await database.execute(f"SET plan_cache_mode = {plans}")
    for filters in FILTERS:
        for sort in SORTS:
            wanted = ListParameters(**filters, sort=sort)
            await check(database, walk(wanted, SHORT))
            await check(database, walk(wanted, LONG))
            await check(database, walk_end(wanted, LONG))
            if wanted.q not in (None, "common", "common or usual", "-common") or wanted.has_prices:
                await check(database, matches(wanted, MATCHES))
        if "q" in filters:
            await check(database, matches(ListParameters(**filters), MATCHES))
            await check(database, counts(filters["q"], [100, 1000], (0, 5000), MATCHES))


@pytest.mark.parametrize("plans", ["force_custom_plan", "force_generic_plan"])
async def test_a_stock_code_is_completed_by_its_index(database: asyncpg.Connection, plans: str) -> None:
    await database.execute(f"SET plan_cache_mode = {plans}")
    await check(database, Statement(BY_CODE, ["P1", 8]))


async def check(database: asyncpg.Connection, statement: Statement) -> None:
    """The plan has no sequential scan, and no step of it has read many rows."""
    explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.text}"
    [[plan]] = await database.fetch(explain, *statement.values)
    for step in steps(json.loads(plan)[0]["Plan"]):
        what = f"{step['Node Type']} of {statement.values}: {statement.text}"
        assert step["Node Type"] != "Seq Scan", what
        read = step["Actual Rows"] * step["Actual Loops"] + step.get("Rows Removed by Filter", 0)
        assert read <= MOST_READ or step["Node Type"] == "Bitmap Index Scan", what


def steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from steps(part)
