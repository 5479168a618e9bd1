"""Categories, facets, suggestions and pictures, on a real PostgreSQL."""

from typing import Any

import httpx
import pytest

from ..conftest import Create


@pytest.fixture
async def shelves(create: Create) -> None:
    for sku, name, category, price, stock in (
        ("A", "Red lantern", "lighting", 100, 1),
        ("B", "White lantern", "lighting", 500, 0),
        ("C", "Red mug", "kitchen", 250, 5),
        ("D", "Nesting boxes", "kitchen", 2000, 5),
        ("E", "Red ribbon", None, 120, 2),
    ):
        await create(sku, name=name, category=category, price=price, stock=stock)


async def facets(client: httpx.AsyncClient, query: str = "") -> dict[str, Any]:
    answer = await client.get(f"/v1/products/facets?{query}")
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


def categories_of(content: dict[str, Any]) -> dict[str, int]:
    return {one["category"]: one["count"] for one in content["categories"]}


@pytest.mark.usefixtures("shelves")
async def test_categories_are_listed_by_name_with_their_products_for_sale(
    anybody: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    await admin.delete("/v1/products/D")
    await admin.patch("/v1/products/A", json={"picture": "/pictures/a.svg"})
    answer = await anybody.get("/v1/categories")
    assert answer.headers["cache-control"] == "public, max-age=30"
    assert answer.json() == {
        "items": [
            {"category": "kitchen", "count": 1, "picture": None},
            {"category": "lighting", "count": 2, "picture": "/pictures/a.svg"},
        ]
    }
    sent = {"if-none-match": answer.headers["etag"]}
    assert (await anybody.get("/v1/categories", headers=sent)).status_code == 304
    await admin.delete("/v1/products/C")
    assert (await anybody.get("/v1/categories", headers=sent)).status_code == 200


@pytest.mark.usefixtures("shelves")
@pytest.mark.parametrize(
    ("query", "total", "categories", "in_stock", "out_of_stock"),
    [
        ("", 5, {"lighting": 2, "kitchen": 2}, 4, 1),
        ("category=lighting", 2, {"lighting": 2, "kitchen": 2}, 1, 1),
        ("in_stock=true", 4, {"kitchen": 2, "lighting": 1}, 4, 1),
        ("price_max=250", 3, {"lighting": 1, "kitchen": 1}, 3, 0),
        ("price_min=250&in_stock=false", 1, {"lighting": 1}, 2, 1),
        ("price_min=300&price_max=200", 0, {}, 0, 0),
        ("q=red", 3, {"lighting": 1, "kitchen": 1}, 3, 0),
        ("q=red&category=kitchen", 1, {"lighting": 1, "kitchen": 1}, 1, 0),
        ("q=red&price_max=200", 2, {"lighting": 1}, 2, 0),
        ("q=lantern&in_stock=true", 1, {"lighting": 1}, 1, 1),
        ("q=nothing+like+it", 0, {}, 0, 0),
    ],
)
async def test_each_facet_is_counted_with_all_filters_but_its_own(
    anybody: httpx.AsyncClient,
    query: str,
    total: int,
    categories: dict[str, int],
    in_stock: int,
    out_of_stock: int,
) -> None:
    found = await facets(anybody, query)
    assert categories_of(found) == categories
    assert (found["in_stock"], found["out_of_stock"]) == (in_stock, out_of_stock)
    assert (found["total"], found["capped"], found["currency"]) == (total, False, "GBP")
    assert len((await anybody.get(f"/v1/products?{query}")).json()["items"]) == total


@pytest.mark.usefixtures("shelves")
@pytest.mark.parametrize("query", ["", "q=red", "category=kitchen", "q=red&in_stock=true"])
async def test_a_price_range_lists_as_many_products_as_its_facet_says(
    anybody: httpx.AsyncClient, query: str
) -> None:
    ranges = (await facets(anybody, query))["prices"]
    assert len(ranges) > 2
    for one in ranges:
        bounds = {name: one[name] for name in ("price_min", "price_max") if one[name] is not None}
        path = str(httpx.URL(f"/v1/products?{query}").copy_merge_params(bounds))
        assert len((await anybody.get(path)).json()["items"]) == one["count"]


@pytest.mark.usefixtures("shelves")
async def test_facets_correct_misspelt_words_as_the_list_does(anybody: httpx.AsyncClient) -> None:
    found = await facets(anybody, "q=lantren")
    assert (found["total"], found["corrected"]) == (2, {"lantren": "lantern"})


async def test_facets_of_an_empty_catalogue_are_empty(anybody: httpx.AsyncClient) -> None:
    found = await facets(anybody)
    assert (found["total"], found["currency"]) == (0, None)
    assert found["prices"] == [{"price_min": None, "price_max": None, "count": 0}]


@pytest.mark.usefixtures("shelves")
async def test_only_so_many_matches_of_a_search_are_counted(
    anybody: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("product.counts.COUNTED", 2)
    assert (await facets(anybody, "q=red"))["capped"]


@pytest.mark.usefixtures("shelves")
@pytest.mark.parametrize(
    ("typed", "skus", "corrected"),
    [
        ("lant", {"A", "B"}, {}),
        ("red l", {"A"}, {}),
        ("RED Lantern", {"A"}, {}),
        ("nesti", {"D"}, {}),
        ("latner", {"A", "B"}, {"latner": "lantern"}),
        ("lanternn", {"A", "B"}, {"lanternn": "lantern"}),
        ("whte lan", {"B"}, {"whte": "white"}),
        ('"mug -', {"C"}, {}),
        ("D", {"D"}, {}),
        ("zzzz", set(), {}),
        ("--", set(), {}),
    ],
)
async def test_what_is_half_typed_suggests_products(
    anybody: httpx.AsyncClient, typed: str, skus: set[str], corrected: dict[str, str]
) -> None:
    answer = await anybody.get("/v1/products/suggestions", params={"q": typed})
    assert {one["sku"] for one in answer.json()["items"]} == skus
    assert answer.json()["corrected"] == corrected


@pytest.mark.parametrize(
    ("typed", "skus"),
    [
        ("LMP-1", ["LMP-10", "LMP-11"]),
        ("lmp-1", ["LMP-10", "LMP-11"]),
        (" lmp-11 ", ["LMP-11"]),
        ("lmp", ["LMP-11", "LMP-10", "LMP_2"]),
        ("LMP_", ["LMP_2"]),
        ("lmp-9", []),
        ("lantern", ["A", "LANTERN.9"]),
    ],
)
async def test_a_stock_code_that_is_half_typed_is_completed(
    anybody: httpx.AsyncClient, admin: httpx.AsyncClient, create: Create, typed: str, skus: list[str]
) -> None:
    await create("A", name="Red lantern")
    for sku in ("LMP-11", "LMP-10", "LMP_2", "LMP-12", "LANTERN.9", "X"):
        await create(sku, name="Something else")
    await admin.delete("/v1/products/LMP-12")
    answer = await anybody.get("/v1/products/suggestions", params={"q": typed})
    assert {one["sku"] for one in answer.json()["items"]} == set(skus)


async def test_there_are_eight_suggestions_at_most(anybody: httpx.AsyncClient, create: Create) -> None:
    for n in range(10):
        await create(f"L{n}", name=f"Lantern {n}")
    assert len((await anybody.get("/v1/products/suggestions?q=lan")).json()["items"]) == 8


@pytest.mark.parametrize("query", ["", "q=", f"q={'x' * 81}", "q=%00", "q=a&limit=3"])
async def test_suggestions_for_an_invalid_query_are_refused(anybody: httpx.AsyncClient, query: str) -> None:
    assert (await anybody.get(f"/v1/products/suggestions?{query}")).status_code == 422


async def test_a_picture_is_shown_wherever_the_product_is(
    admin: httpx.AsyncClient, anybody: httpx.AsyncClient, create: Create
) -> None:
    shown = {"picture": "/pictures/a.svg", "picture_alt": "A lamp"}
    await create("A", name="Lamp", **shown)
    for path in ("?sku=A", "", "?q=lamp", "/suggestions?q=lam"):
        [item] = (await anybody.get(f"/v1/products{path}")).json()["items"]
        assert item | shown == item
    product = (await anybody.get("/v1/products/A")).json()
    assert product | shown == product
    changed = await admin.patch("/v1/products/A", json={"picture": None, "picture_alt": ""})
    assert (changed.json()["picture"], changed.json()["picture_alt"]) == (None, "")


@pytest.mark.parametrize(
    "picture",
    [
        "a.svg",
        "//evil.example/a.svg",
        "https://evil.example/a.svg",
        "/a b.svg",
        "/a.svg?x",
        "/",
        "/" + "a" * 300,
    ],
)
async def test_a_picture_is_on_the_shops_own_origin(admin: httpx.AsyncClient, picture: str) -> None:
    new = {"sku": "A", "name": "A", "price": 1, "picture": picture}
    answer = await admin.post("/v1/products", json=new)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/picture"


async def test_the_address_of_facets_is_no_products(admin: httpx.AsyncClient) -> None:
    new = {"sku": "facets", "name": "A", "price": 1}
    for refused in (
        await admin.post("/v1/products", json=new),
        await admin.post("/v1/products/bulk", json={"items": [new]}),
    ):
        assert refused.status_code == 422


@pytest.mark.usefixtures("shelves")
async def test_pages_that_all_shoppers_share_may_be_kept_for_some_seconds(
    anybody: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    for path in ("/v1/products", "/v1/products/facets", "/v1/products/suggestions?q=red"):
        assert (await anybody.get(path)).headers["cache-control"].startswith("public, max-age=")
    retired = await admin.get("/v1/products?status=retired")
    assert retired.headers["cache-control"] == "no-store"
    assert "cache-control" not in (await anybody.get("/v1/products?sku=A")).headers
