"""Prices that can be charged, and those that cannot, over HTTP on a real PostgreSQL."""

from typing import Any

import httpx
import pytest

from chassis.database import connect
from chassis.direct import fetch
from contracts import CURRENCIES
from product.prices import objection

REFUSED = [
    (1999, "XYZ", "currency"),
    (1999, "gbp", "currency"),
    (1999, "BGN", "currency"),
    (5124, "KWD", "price"),
    (150, "MGA", "price"),
    (1_000_000, "ISK", "price"),
]


def item(sku: str, price: int, currency: str) -> dict[str, Any]:
    return {"sku": sku, "name": f"Product {sku}", "price": price, "currency": currency, "stock": 1}


async def known(admin: httpx.AsyncClient) -> dict[str, tuple[int, str]]:
    listed = (await admin.get("/v1/products")).json()["items"]
    return {one["sku"]: (one["price"], one["currency"]) for one in listed}


@pytest.mark.parametrize(
    ("price", "currency"),
    [(1999, "GBP"), (1, "GBP"), (0, "GBP"), (500, "JPY"), (5120, "KWD"), (500, "MGA"), (999_999, "ISK")],
)
async def test_a_price_that_can_be_charged_is_taken(
    admin: httpx.AsyncClient, price: int, currency: str
) -> None:
    assert (await admin.post("/v1/products", json=item("A", price, currency))).status_code == 201
    assert await known(admin) == {"A": (price, currency)}


@pytest.mark.parametrize(("price", "currency", "field"), REFUSED)
async def test_one_that_cannot_is_refused_and_pointed_at(
    admin: httpx.AsyncClient, price: int, currency: str, field: str
) -> None:
    answer = await admin.post("/v1/products", json=item("A", price, currency))
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{field}"]
    assert await known(admin) == {}


async def test_in_bulk_each_line_is_pointed_at_and_none_is_put(admin: httpx.AsyncClient) -> None:
    given = [(1999, "GBP", ""), *REFUSED, (500, "JPY", "")]
    items = [item(f"P{n}", price, currency) for n, (price, currency, _) in enumerate(given)]

    answer = await admin.post("/v1/products/bulk", json={"items": items})

    assert answer.status_code == 422
    pointers = [f"/items/{n}/{field}" for n, (_, _, field) in enumerate(given) if field]
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers
    assert await known(admin) == {}


async def test_a_price_changes_within_what_its_currency_can_be_charged_in(admin: httpx.AsyncClient) -> None:
    await admin.post("/v1/products", json=item("A", 5120, "KWD"))

    refused = await admin.patch("/v1/products/A", json={"price": 5124, "name": "Half changed"})

    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/price"]
    assert (await admin.get("/v1/products/A")).json()["name"] == "Product A"
    assert (await admin.patch("/v1/products/A", json={"price": 5130})).json()["price"] == 5130


async def test_a_product_from_before_the_list_is_shown_and_brought_over(
    admin: httpx.AsyncClient, settings: Any
) -> None:
    engine = connect(settings.database_url, pool_size=1, statement_timeout=10)
    await admin.post("/v1/products", json=item("A", 1500, "GBP"))
    await fetch(engine, "UPDATE product SET currency = 'IQD' WHERE sku = 'A' RETURNING sku")
    await engine.dispose()

    assert await known(admin) == {"A": (1500, "IQD")}
    assert (await admin.patch("/v1/products/A", json={"name": "Still there"})).status_code == 200
    refused = await admin.patch("/v1/products/A", json={"price": 2000})
    assert "IQD cannot be charged" in refused.json()["errors"][0]["detail"]
    await admin.post("/v1/products/bulk", json={"items": [item("A", 2000, "USD")]})
    assert await known(admin) == {"A": (2000, "USD")}


def test_whatever_is_said_against_a_price_helps_to_mend_it() -> None:
    assert objection(5124, "KWD") == "must be a multiple of 10: KWD is charged in steps of KWD 0.010"
    assert objection(1_000_000, "ISK") == "must not be more than 999999: that is all that is charged in ISK"
    assert [objection(0, code) for code in CURRENCIES] == [None] * len(CURRENCIES)
