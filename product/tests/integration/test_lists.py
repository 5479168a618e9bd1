"""Pages, filters and searches, on a real PostgreSQL."""

import httpx
import pytest

from ..conftest import Create


async def walk(client: httpx.AsyncClient, path: str) -> list[str]:
    """The skus of all pages, following `next`."""
    skus: list[str] = []
    following: str | None = path
    while following is not None:
        page = (await client.get(following)).json()
        skus += [item["sku"] for item in page["items"]]
        following = page["next"]
    return skus


@pytest.fixture
async def shelves(create: Create) -> None:
    for sku, price, stock in (("A", 300, 1), ("B", 100, 0), ("C", 200, 5), ("D", 200, 5), ("E", 100, 2)):
        await create(sku, price=price, stock=stock, category="glass" if sku in "AB" else "wood")


@pytest.mark.usefixtures("shelves")
@pytest.mark.parametrize(
    ("query", "skus"),
    [
        ("", "ABCDE"),
        ("sort=name", "ABCDE"),
        ("sort=price", "BECDA"),
        ("sort=-price", "ADCEB"),
        ("sort=newest", "EDCBA"),
        ("in_stock=true", "ACDE"),
        ("in_stock=false", "B"),
        ("category=glass", "AB"),
        ("price_min=200&price_max=250", "CD"),
        ("price_min=200&in_stock=true&sort=-price", "ADC"),
    ],
)
async def test_every_product_is_on_one_page(anybody: httpx.AsyncClient, query: str, skus: str) -> None:
    for limit in (1, 2, 5):
        assert "".join(await walk(anybody, f"/v1/products?{query}&limit={limit}")) == skus


@pytest.mark.usefixtures("shelves")
async def test_a_product_added_between_pages_repeats_no_row(
    anybody: httpx.AsyncClient, create: Create
) -> None:
    first = (await anybody.get("/v1/products?limit=2")).json()
    await create("0", name="A first one")
    assert await walk(anybody, first["next"]) == ["C", "D", "E"]


@pytest.mark.usefixtures("shelves")
@pytest.mark.parametrize("cursor", ["x", "bnVsbA", "e30", "WyJuYW1lIiwxLCJBIl0", "WyJwcmljZSIsMSwiQSJd"])
async def test_an_invalid_cursor_is_rejected(anybody: httpx.AsyncClient, cursor: str) -> None:
    answer = await anybody.get(f"/v1/products?cursor={cursor}")
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/bad-cursor")


@pytest.fixture
async def gifts(create: Create) -> None:
    await create("71053", name="White metal lantern", category="lighting")
    await create("71054", name="Red lanterns, set of 3", description="Paper lanterns on a string")
    await create("22752", name="Set 7 babushka nesting boxes", description="Red and white")
    await create("84029E", name="Red woolly hottie white heart")


@pytest.mark.usefixtures("gifts")
@pytest.mark.parametrize(
    ("q", "skus"),
    [
        ("lantern", {"71053", "71054"}),
        ("red lantern", {"71054"}),
        ("lighting", {"71053"}),
        ("84029e", {"84029E"}),
        ('"nesting boxes"', {"22752"}),
        ("white -lantern", {"22752", "84029E"}),
        ("babushka or hottie", {"22752", "84029E"}),
        ("nothing like it", set()),
    ],
)
async def test_a_search_finds_what_was_meant(anybody: httpx.AsyncClient, q: str, skus: set[str]) -> None:
    page = (await anybody.get("/v1/products", params={"q": q})).json()
    assert {item["sku"] for item in page["items"]} == skus
    assert page["corrected"] == {}


@pytest.mark.usefixtures("gifts")
async def test_a_name_counts_for_more_than_a_description(anybody: httpx.AsyncClient) -> None:
    page = (await anybody.get("/v1/products?q=red")).json()
    assert page["items"][-1]["sku"] == "22752"


@pytest.mark.usefixtures("gifts")
@pytest.mark.parametrize(
    ("q", "corrected", "skus"),
    [
        ("lantren", {"lantren": "lantern"}, {"71053", "71054"}),
        ("Red LANTRENS", {"lantrens": "lanterns"}, {"71054"}),
        ("babuska nestign", {"babuska": "babushka", "nestign": "nesting"}, {"22752"}),
        ('"metal lantrn"', {"lantrn": "lantern"}, {"71053"}),
        ("whit", {"whit": "white"}, {"71053", "22752", "84029E"}),
    ],
)
async def test_a_misspelt_search_finds_what_was_meant_and_says_so(
    anybody: httpx.AsyncClient, q: str, corrected: dict[str, str], skus: set[str]
) -> None:
    page = (await anybody.get("/v1/products", params={"q": q})).json()
    assert page["corrected"] == corrected
    assert {item["sku"] for item in page["items"]} == skus


@pytest.mark.usefixtures("gifts")
async def test_a_corrected_search_has_further_pages(anybody: httpx.AsyncClient) -> None:
    assert sorted(await walk(anybody, "/v1/products?q=lantren&limit=1")) == ["71053", "71054"]


@pytest.mark.usefixtures("gifts")
async def test_searches_are_not_corrected_to_words_of_retired_products(
    anybody: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    await admin.delete("/v1/products/22752")
    page = (await anybody.get("/v1/products?q=babuska")).json()
    assert (page["items"], page["corrected"]) == ([], {})


@pytest.mark.parametrize("sort", ["name", "price", "-price", "newest"])
@pytest.mark.parametrize(
    "query", ["q=rare", "q=common", "in_stock=false", "price_min=5&price_max=9", "q=common&category=a"]
)
async def test_a_list_has_every_product_however_soon_its_reads_end(
    anybody: httpx.AsyncClient, create: Create, monkeypatch: pytest.MonkeyPatch, query: str, sort: str
) -> None:
    for n in range(24):
        words = "rare common" if n % 8 == 3 else "common" if n % 2 else "thing"
        category, stock = "a" if n % 3 else "b", 0 if n % 6 == 5 else 1
        await create(f"P{n:02}", name=f"{words} {n:02}", price=(n * 7) % 24, category=category, stock=stock)
    whole = (await anybody.get(f"/v1/products?{query}&sort={sort}&limit=100")).json()
    assert whole["next"] is None
    for name, rows in (("SHORT", 3), ("MATCHES", 4), ("LONG", 5)):
        monkeypatch.setattr(f"product.catalogue.{name}", rows)
    skus = await walk(anybody, f"/v1/products?{query}&sort={sort}&limit=2")
    assert skus == [item["sku"] for item in whole["items"]]


async def test_sorting_by_relevance_needs_a_search(anybody: httpx.AsyncClient) -> None:
    assert (await anybody.get("/v1/products?sort=relevance")).status_code == 422


async def test_the_longest_names_have_further_pages(anybody: httpx.AsyncClient, create: Create) -> None:
    for letter in "ABC":
        await create(letter * 32, name="\U0001f3ee" * 199 + letter)
    assert len(await walk(anybody, "/v1/products?limit=1")) == 3
