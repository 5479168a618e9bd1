"""Prices that can be charged, and those that cannot, over HTTP on a real PostgreSQL."""

from typing import Any

import httpx
import pytest

from chassis.storage.database import connect
from chassis.storage.raw_sql import fetch
from product.settings import Settings

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


async def listed_prices(admin: httpx.AsyncClient) -> dict[str, tuple[int, str]]:
    listed = (await admin.get("/v1/products")).json()["items"]
    return {one["sku"]: (one["price"], one["currency"]) for one in listed}


@pytest.mark.parametrize(
    ("price", "currency"),
    [(1999, "GBP"), (1, "GBP"), (0, "GBP"), (500, "JPY"), (5120, "KWD"), (500, "MGA"), (999_999, "ISK")],
)
async def test_a_price_that_can_be_charged_is_accepted(
    admin: httpx.AsyncClient, price: int, currency: str
) -> None:
    assert (await admin.post("/v1/products", json=item("A", price, currency))).status_code == 201
    assert await listed_prices(admin) == {"A": (price, currency)}


@pytest.mark.parametrize(("price", "currency", "field"), REFUSED)
async def test_a_price_that_cannot_be_charged_is_rejected_with_a_pointer(
    admin: httpx.AsyncClient, price: int, currency: str, field: str
) -> None:
    answer = await admin.post("/v1/products", json=item("A", price, currency))
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{field}"]
    assert await listed_prices(admin) == {}


async def test_a_bulk_load_with_bad_prices_names_each_and_changes_nothing(admin: httpx.AsyncClient) -> None:
    given = [(1999, "GBP", ""), *REFUSED, (500, "JPY", "")]
    items = [item(f"P{n}", price, currency) for n, (price, currency, _) in enumerate(given)]

    answer = await admin.post("/v1/products/bulk", json={"items": items})

    assert answer.status_code == 422
    pointers = [f"/items/{n}/{field}" for n, (_, _, field) in enumerate(given) if field]
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers
    assert await listed_prices(admin) == {}


async def test_a_bulk_load_checks_a_price_in_the_currency_that_the_product_keeps(
    admin: httpx.AsyncClient,
) -> None:
    await admin.post("/v1/products", json=item("A", 5120, "KWD"))
    items = [{"sku": sku, "name": sku, "price": 5124} for sku in ("B", "A")]

    refused = await admin.post("/v1/products/bulk", json={"items": items})

    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/items/1/price"]
    assert await listed_prices(admin) == {"A": (5120, "KWD")}
    items[1]["price"] = 5130
    assert (await admin.post("/v1/products/bulk", json={"items": items})).status_code == 200
    assert await listed_prices(admin) == {"A": (5130, "KWD"), "B": (5124, "GBP")}


async def test_a_price_can_only_change_to_one_that_its_currency_can_charge(admin: httpx.AsyncClient) -> None:
    await admin.post("/v1/products", json=item("A", 5120, "KWD"))

    refused = await admin.patch("/v1/products/A", json={"price": 5124, "name": "Half changed"})

    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/price"]
    assert (await admin.get("/v1/products/A")).json()["name"] == "Product A"
    assert (await admin.patch("/v1/products/A", json={"price": 5130})).json()["price"] == 5130


async def test_a_product_in_a_delisted_currency_is_shown_and_can_be_replaced(
    admin: httpx.AsyncClient, settings: Settings
) -> None:
    engine = connect(settings.database_url, pool_size=1, statement_timeout=10)
    await admin.post("/v1/products", json=item("A", 1500, "GBP"))
    await fetch(engine, "UPDATE product SET currency = 'IQD' WHERE sku = 'A' RETURNING sku")
    await engine.dispose()

    assert await listed_prices(admin) == {"A": (1500, "IQD")}
    assert (await admin.patch("/v1/products/A", json={"name": "Still there"})).status_code == 200
    refused = await admin.patch("/v1/products/A", json={"price": 2000})
    assert "IQD cannot be charged" in refused.json()["errors"][0]["detail"]
    await admin.post("/v1/products/bulk", json={"items": [item("A", 2000, "USD")]})
    assert await listed_prices(admin) == {"A": (2000, "USD")}
