"""The catalogue over HTTP, on a real PostgreSQL."""

import asyncio
import json

import httpx
import pytest

from chassis.storage.database import connect
from chassis.storage.raw_sql import fetch
from product.settings import Settings

from ..conftest import Create, authorization


async def test_a_created_product_is_for_sale(admin: httpx.AsyncClient, anybody: httpx.AsyncClient) -> None:
    new = {"sku": "85123A", "name": "White heart", "category": "lighting", "price": 255, "stock": 6}
    created = await admin.post("/v1/products", json=new)
    assert (created.status_code, created.headers["location"]) == (201, "/v1/products/85123A")
    shown = (await anybody.get("/v1/products/85123A")).json()
    assert created.json() == shown
    assert shown["available"] == 6
    assert (shown["price"], shown["currency"], shown["status"]) == (255, "GBP", "active")


async def test_a_sku_is_created_once(admin: httpx.AsyncClient, create: Create) -> None:
    await create("A", stock=1)
    answer = await admin.post("/v1/products", json={"sku": "A", "name": "Other", "price": 1})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/product-exists")
    assert (await admin.get("/v1/products/A")).json()["name"] == "Product A"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/products"),
        ("POST", "/v1/products/bulk"),
        ("PATCH", "/v1/products/A"),
        ("DELETE", "/v1/products/A"),
        ("POST", "/v1/products/A/stock"),
        ("GET", "/v1/products/A/stock"),
        ("GET", "/v1/products?status=retired"),
    ],
)
async def test_administration_is_for_administrators(
    anybody: httpx.AsyncClient, method: str, path: str
) -> None:
    assert (await anybody.request(method, path, json={})).status_code == 401
    as_shopper = authorization("shopper")
    assert (await anybody.request(method, path, json={}, headers=as_shopper)).status_code == 403


async def test_a_changed_product_keeps_the_rest(admin: httpx.AsyncClient, create: Create) -> None:
    await create("A", description="Of glass", category="lighting", stock=2)
    changed = (await admin.patch("/v1/products/A", json={"price": 300, "category": None})).json()
    assert (changed["price"], changed["category"]) == (300, None)
    assert (changed["description"], changed["available"]) == ("Of glass", 2)
    assert changed["updated_at"] > changed["created_at"]


async def test_a_name_cannot_be_removed(admin: httpx.AsyncClient, create: Create) -> None:
    await create("A")
    assert (await admin.patch("/v1/products/A", json={"name": None})).status_code == 422


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("PATCH", {"price": 1}), ("DELETE", None)])
async def test_an_unknown_product_is_not_found(admin: httpx.AsyncClient, method: str, body: object) -> None:
    answer = await admin.request(method, "/v1/products/none", json=body)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_retired_product_is_shown_but_not_for_sale(admin: httpx.AsyncClient, create: Create) -> None:
    await create("A", stock=5)
    assert (await admin.delete("/v1/products/A")).status_code == 204
    assert (await admin.delete("/v1/products/A")).status_code == 204
    shown = (await admin.get("/v1/products/A")).json()
    assert (shown["status"], shown["available"]) == ("retired", 0)
    assert (await admin.get("/v1/products")).json()["items"] == []
    assert len((await admin.get("/v1/products?status=retired")).json()["items"]) == 1
    assert (await admin.get("/v1/products?sku=A")).json()["items"][0]["status"] == "retired"
    await admin.patch("/v1/products/A", json={"status": "active"})
    assert (await admin.get("/v1/products/A")).json()["available"] == 5


async def test_an_unchanged_product_is_answered_with_304(admin: httpx.AsyncClient, create: Create) -> None:
    await create("A", stock=1)
    etag = (await admin.get("/v1/products/A")).headers["etag"]
    for sent in (etag, f"W/{etag}", f'"other", {etag}'):
        again = await admin.get("/v1/products/A", headers={"if-none-match": sent})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    await admin.post("/v1/products/A/stock", json={"delta": 1, "reason": "delivery"})
    assert (await admin.get("/v1/products/A", headers={"if-none-match": etag})).status_code == 200


async def test_a_bulk_read_leaves_out_unknown_products(anybody: httpx.AsyncClient, create: Create) -> None:
    await create("A", stock=3)
    await create("B", price=250)
    answer = await anybody.get("/v1/products?sku=B&sku=none&sku=A&sku=A")
    assert [(i["sku"], i["price"], i["available"]) for i in answer.json()["items"]] == [
        ("A", 100, 3),
        ("B", 250, 0),
    ]


async def test_a_bulk_read_takes_a_thousand_skus_and_no_more(anybody: httpx.AsyncClient) -> None:
    skus = [f"{n:032}" for n in range(1001)]
    assert (await anybody.get("/v1/products", params={"sku": skus[:1000]})).status_code == 200
    assert (await anybody.get("/v1/products", params={"sku": skus})).status_code == 422


@pytest.mark.parametrize(
    "query",
    [
        "sku=A&q=lamp",
        "sku=A%00",
        "sku=A%20B",
        "sku=%F0%9F%98%80",
        "sku=",
        "q=A%00",
        "category=%00",
        "limit=101",
        "sort=stock",
        "page=2",
    ],
)
async def test_an_invalid_query_is_rejected(anybody: httpx.AsyncClient, query: str) -> None:
    assert (await anybody.get(f"/v1/products?{query}")).status_code == 422


@pytest.mark.parametrize("field", ["name", "category"])
@pytest.mark.parametrize("character", ["\n", "\x85", "\u2028", "\u202e", "\u200b", "\ue000"])
async def test_names_and_categories_are_one_line(
    admin: httpx.AsyncClient, create: Create, field: str, character: str
) -> None:
    await create("A")
    text = f"Mug{character}Total: 0.00 GBP"
    new = {"sku": "B", "name": "Mug", "price": 100, field: text}
    for refused in (
        await admin.post("/v1/products", json=new),
        await admin.post("/v1/products/bulk", json={"items": [new]}),
        await admin.patch("/v1/products/A", json={field: text}),
    ):
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["pointer"].endswith(f"/{field}")


async def test_names_from_older_releases_are_shown_as_one_line(
    admin: httpx.AsyncClient, create: Create, settings: Settings
) -> None:
    await create("A", category="lighting")
    await _execute(settings, "UPDATE product SET name = E'Mug\\nTotal', category = E'lamps\\u202e'")
    shown = [
        (await admin.get("/v1/products/A")).json(),
        *(await admin.get("/v1/products?sku=A")).json()["items"],
        *(await admin.get("/v1/products?sort=name")).json()["items"],
    ]
    assert [(one["name"], one["category"]) for one in shown] == [("Mug Total", "lamps")] * 3


@pytest.mark.parametrize("field", ["name", "description", "category"])
@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
async def test_text_that_postgresql_cannot_store_is_rejected(
    admin: httpx.AsyncClient, create: Create, field: str, text: str
) -> None:
    await create("A")
    headers = {"Content-Type": "application/json"}
    answer = await admin.patch("/v1/products/A", content=json.dumps({field: text}), headers=headers)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == f"/{field}"


async def test_an_adjustment_is_recorded(admin: httpx.AsyncClient, create: Create) -> None:
    await create("A", stock=5)
    answer = await admin.post("/v1/products/A/stock", json={"delta": -2, "reason": "broken"})
    assert answer.json() == {"sku": "A", "on_hand": 3, "reserved": 0, "sold": 0, "received": 3}
    record = (await admin.get("/v1/products/A/stock")).json()
    assert [(a["delta"], a["reason"]) for a in record["adjustments"]] == [
        (-2, "broken"),
        (5, "opening stock"),
    ]
    assert record["received"] == sum(a["delta"] for a in record["adjustments"])


async def test_only_pieces_on_hand_can_be_written_off(admin: httpx.AsyncClient, create: Create) -> None:
    await create("A", stock=1)
    answer = await admin.post("/v1/products/A/stock", json={"delta": -2, "reason": "broken"})
    assert (answer.status_code, answer.json()["on_hand"]) == (409, 1)
    assert len((await admin.get("/v1/products/A/stock")).json()["adjustments"]) == 1


async def test_a_bulk_load_is_idempotent(admin: httpx.AsyncClient, create: Create) -> None:
    await create("B", stock=1)
    items = [{"sku": sku, "name": f"Product {sku}", "price": 100, "stock": 7} for sku in "CAB"]
    first = await admin.post("/v1/products/bulk", json={"items": items})
    assert first.json() == {"created": 2, "changed": 0, "unchanged": 1}
    await admin.post("/v1/products/A/stock", json={"delta": -7, "reason": "sold at the fair"})
    items[1]["price"] = 90
    again = await admin.post("/v1/products/bulk", json={"items": items})
    assert again.json() == {"created": 0, "changed": 1, "unchanged": 2}
    shown = (await admin.get("/v1/products?sku=A&sku=B&sku=C")).json()["items"]
    assert [(i["sku"], i["price"], i["available"]) for i in shown] == [
        ("A", 90, 0),
        ("B", 100, 1),
        ("C", 100, 7),
    ]


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ({}, {}),
        ({"price": 600}, {"price": 600}),
        ({"description": ""}, {"description": ""}),
        ({"category": None}, {"category": None}),
        ({"category": "glass", "currency": "USD"}, {"category": "glass", "currency": "USD"}),
        ({"stock": 9}, {}),
    ],
)
async def test_a_bulk_load_changes_only_the_given_fields(
    admin: httpx.AsyncClient, create: Create, given: dict[str, object], changed: dict[str, object]
) -> None:
    await create("A", price=500, description="long text", category="lighting", currency="EUR", stock=5)
    before = (await admin.get("/v1/products/A")).json()
    items = [{"sku": "A", "name": "Product A", "price": 500} | given]
    loaded = await admin.post("/v1/products/bulk", json={"items": items})
    assert loaded.json() == {"created": 0, "changed": bool(changed), "unchanged": not changed}
    after = (await admin.get("/v1/products/A")).json()
    before.pop("updated_at"), after.pop("updated_at")
    assert after == before | changed


async def test_a_bulk_load_creates_products_with_the_defaults(admin: httpx.AsyncClient) -> None:
    await admin.post("/v1/products/bulk", json={"items": [{"sku": "A", "name": "A", "price": 1}]})
    product = (await admin.get("/v1/products/A")).json()
    shown = {name: product[name] for name in ("description", "category", "currency", "available")}
    assert shown == {"description": "", "category": None, "currency": "GBP", "available": 0}


async def test_bulk_loads_at_the_same_moment_create_each_product_once(admin: httpx.AsyncClient) -> None:
    items = [{"sku": f"P{n}", "name": "Lamp", "price": 1, "stock": 9} for n in range(50)]
    answers = await asyncio.gather(
        *(admin.post("/v1/products/bulk", json={"items": items[:: 1 - 2 * (n % 2)]}) for n in range(4))
    )
    assert [answer.status_code for answer in answers] == [200] * 4
    assert sum(answer.json()["created"] for answer in answers) == 50
    record = (await admin.get("/v1/products/P0/stock")).json()
    assert (record["received"], len(record["adjustments"])) == (9, 1)


async def test_a_thousand_products_are_loaded_in_one_call(admin: httpx.AsyncClient) -> None:
    items = [{"sku": f"P{n}", "name": "x" * 200, "price": n, "stock": 9} for n in range(1000)]
    assert (await admin.post("/v1/products/bulk", json={"items": items})).json()["created"] == 1000


async def test_a_bulk_load_with_a_duplicate_sku_is_rejected(admin: httpx.AsyncClient) -> None:
    items = [{"sku": "A", "name": "A", "price": 1}] * 2
    assert (await admin.post("/v1/products/bulk", json={"items": items})).status_code == 422


async def _execute(settings: Settings, statement: str) -> None:
    engine = connect(settings.database_url, pool_size=1, statement_timeout=5)
    await fetch(engine, statement)
    await engine.dispose()
