import json
import re
from typing import Any
from urllib.parse import quote

import pytest

from ..conftest import MUG, ORIGIN, Browser, FakeApi


async def test_home_shows_categories_and_new_products(browser: Browser, api: FakeApi) -> None:
    page = await browser.get("/")
    assert page.status_code == 200
    assert 'href="/p/MUG-1"' in page.text
    assert 'href="/c/kitchen"' in page.text
    assert "£12.50" in page.text
    assert "3 left" in page.text
    newest, presents = api.sent("GET /v1/products")
    assert newest.url.params["sort"] == "newest"
    assert presents.url.params["sort"] == "price"
    assert "Small presents" in page.text


async def test_without_the_endpoint_of_categories_there_are_none(browser: Browser, api: FakeApi) -> None:
    api.refuse("GET /v1/categories", 404)
    page = await browser.get("/")
    assert page.status_code == 200
    assert "/c/" not in page.text


async def test_the_url_is_the_state_of_a_list(browser: Browser, api: FakeApi) -> None:
    page = await browser.get("/c/kitchen?q=mug&sort=price&in_stock=true&unknown=1")
    [asked] = api.sent("GET /v1/products")
    assert dict(asked.url.params) == {
        "q": "mug",
        "sort": "price",
        "in_stock": "true",
        "category": "kitchen",
        "limit": "24",
    }
    assert 'href="/search?q=mug&amp;sort=price&amp;in_stock=true"' in page.text  # without the category
    assert 'href="/c/kitchen?sort=price&amp;in_stock=true"' in page.text  # without the words


async def test_the_next_page_has_the_filters_the_cursor_and_the_corrected_words(
    browser: Browser, api: FakeApi
) -> None:
    following = "/v1/products?q=mug&limit=24&sort=price&category=kitchen&cursor=abc"
    api.answer("GET /v1/products", {"items": [MUG], "next": following, "corrected": {"mgu": "mug"}})
    page = await browser.get("/c/kitchen?q=mgu&sort=price")
    assert 'rel="next" href="/c/kitchen?q=mug&amp;sort=price&amp;cursor=abc"' in page.text
    assert "Nothing found for “mgu”" in page.text


FACETS: dict[str, Any] = {
    "total": 3,
    "categories": [{"category": "kitchen", "count": 2}, {"category": "garden", "count": 1}],
    "currency": "GBP",
    "prices": [
        {"price_min": None, "price_max": 999, "count": 2},
        {"price_min": 1000, "price_max": 1999, "count": 0},
        {"price_min": 2000, "price_max": None, "count": 1},
    ],
    "in_stock": 2,
    "out_of_stock": 1,
    "capped": False,
    "corrected": {},
}


async def test_each_filter_says_how_many_it_would_list(browser: Browser, api: FakeApi) -> None:
    api.answer("GET /v1/products/facets", FACETS)
    page = await browser.get("/c/kitchen?q=mug&sort=price&price_min=2000")
    [counted] = api.sent("GET /v1/products/facets")
    assert dict(counted.url.params) == {"q": "mug", "price_min": "2000", "category": "kitchen"}
    assert 'href="/c/kitchen?q=mug&amp;sort=price&amp;price_max=999">up to £9.99 <' in page.text
    assert 'price_min=2000" aria-current="true">from £20.00 <span class="small">1<' in page.text
    assert "£10.00 to £19.99" not in page.text  # has none
    assert (
        'href="/c/garden?q=mug&amp;sort=price&amp;price_min=2000">Garden <span class="small">1<' in page.text
    )
    assert 'aria-current="page">Kitchen' in page.text
    assert 'price_min=2000&amp;in_stock=true">In stock <span class="small">2<' in page.text
    assert "3 products" in page.text


async def test_each_chip_says_which_filter_it_removes(browser: Browser, api: FakeApi) -> None:
    api.answer("GET /v1/products/facets", FACETS)
    page = await browser.get("/c/kitchen?q=mug&price_max=999&in_stock=true")
    for text, without in (
        ("Kitchen", "/search?q=mug&amp;price_max=999&amp;in_stock=true"),
        ("mug", "/c/kitchen?price_max=999&amp;in_stock=true"),
        ("In stock", "/c/kitchen?q=mug&amp;price_max=999"),
        ("up to £9.99", "/c/kitchen?q=mug&amp;in_stock=true"),
    ):
        assert f'href="{without}"><span class="hidden">Remove the filter: </span>{text} <' in page.text


@pytest.mark.parametrize(
    ("entered", "filters"),
    [
        ("from=12.50&to=20", "q=mug&price_min=1250&price_max=2000"),
        ("from=12%2C5&to=", "q=mug&price_min=1250"),
        ("from=30&to=20", "q=mug&price_min=2000&price_max=3000"),
        ("from=&to=", "q=mug"),
        ("from=ten&to=-1", "q=mug"),
        ("from=9999999999&to=1e5", "q=mug"),
        ("from=&to=99999999", "q=mug&price_max=99999999"),
        ("from=1&to=2&currency=XXX", "q=mug"),
        ("from=1&to=2&currency=JPY", "q=mug&price_min=1&price_max=2"),
    ],
)
async def test_prices_that_are_entered_become_filters(browser: Browser, entered: str, filters: str) -> None:
    answer = await browser.get(f"/search?q=mug&price_min=5&cursor=c&currency=GBP&{entered}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/search?{filters}")


async def test_the_price_fields_show_the_prices_that_are_wanted(browser: Browser, api: FakeApi) -> None:
    api.answer("GET /v1/products/facets", FACETS)
    page = await browser.get("/search?price_min=1250")
    assert 'name="from" inputmode="decimal" maxlength="12" autocomplete="off" value="12.50"' in page.text
    assert 'name="to" inputmode="decimal" maxlength="12" autocomplete="off" value=""' in page.text


async def test_prices_of_another_currency_are_not_compared(browser: Browser, api: FakeApi) -> None:
    api.answer("GET /v1/products/facets", FACETS)
    api.answer("GET /v1/products", {"items": [{**MUG, "currency": "JPY"}], "next": None, "corrected": {}})
    page = await browser.get("/c/kitchen")
    assert "£" not in page.text
    assert 'name="from"' not in page.text


@pytest.mark.parametrize("status", [404, 429, 503])
async def test_a_list_is_shown_without_counts_while_there_are_none(
    browser: Browser, api: FakeApi, status: int
) -> None:
    api.refuse("GET /v1/products/facets", status)
    page = await browser.get("/search?price_max=999")
    assert page.status_code == 200
    assert "Blue mug" in page.text
    assert 'href="/search"><span class="hidden">Remove the filter: </span>Price' in page.text
    assert 'href="/c/kitchen"' in page.text


async def test_nothing_found_helps_on(browser: Browser, api: FakeApi) -> None:
    api.answer("GET /v1/products", {"items": [], "next": None, "corrected": {}})
    page = await browser.get("/search?q=zzz")
    assert page.status_code == 200
    assert "Nothing found" in page.text
    assert 'href="/search"' in page.text
    assert 'href="/c/kitchen"' in page.text


async def test_what_would_be_found_without_a_filter_is_said(browser: Browser, api: FakeApi) -> None:
    api.answer("GET /v1/products", {"items": [], "next": None, "corrected": {}})
    api.answer("GET /v1/products/facets", FACETS)
    page = await browser.get("/c/kitchen?q=mug&in_stock=true")
    asked = [dict(one.url.params) for one in api.sent("GET /v1/products/facets")]
    assert {"category": "kitchen", "in_stock": "true"} in asked
    assert {"q": "mug", "in_stock": "true"} in asked
    assert {"q": "mug", "category": "kitchen"} in asked
    assert 'href="/c/kitchen?q=mug">without “In stock”</a> <span class="small">3<' in page.text


async def test_a_page_without_products_leads_to_those_after_it(browser: Browser, api: FakeApi) -> None:
    following = "/v1/products?in_stock=true&limit=24&cursor=abc"
    api.answer("GET /v1/products", {"items": [], "next": following, "corrected": {}})
    page = await browser.get("/search?in_stock=true")
    asked = api.sent("GET /v1/products")
    assert 1 < len(asked) < 10
    assert asked[1].url.params["cursor"] == "abc"
    assert "Nothing found" not in page.text
    assert 'rel="next" href="/search?in_stock=true&amp;cursor=abc"' in page.text


@pytest.mark.parametrize("query", ["sort=evil", "price_min=x", "in_stock=maybe", "q=", "sort=relevance"])
async def test_a_filter_that_means_nothing_is_left_out(browser: Browser, api: FakeApi, query: str) -> None:
    await browser.get(f"/search?{query}")
    [asked] = api.sent("GET /v1/products")
    assert dict(asked.url.params) == {"limit": "24"}


async def test_a_products_page_has_its_data_for_search_engines(browser: Browser) -> None:
    page = await browser.get("/p/MUG-1")
    assert f'<link rel="canonical" href="{ORIGIN}/p/MUG-1">' in page.text
    found = re.search(r'<script type="application/ld\+json">(.*?)</script>', page.text)
    assert found
    data = json.loads(found[1])
    assert data["offers"]["price"] == "12.50"
    assert data["offers"]["availability"] == "https://schema.org/InStock"
    assert data["image"] == f"{ORIGIN}/pictures/mug.svg"


async def test_a_sold_out_product_cannot_be_put_into_the_cart(browser: Browser, api: FakeApi) -> None:
    api.answer("GET /v1/products/MUG-1", {**MUG, "available": 0})
    page = await browser.get("/p/MUG-1")
    assert "Sold out" in page.text
    assert "/cart/add" not in page.text


async def test_a_product_without_a_picture_has_a_drawing(browser: Browser, api: FakeApi) -> None:
    api.answer("GET /v1/products/MUG-1", {name: MUG[name] for name in MUG if not name.startswith("picture")})
    page = await browser.get("/p/MUG-1")
    assert 'src="/pictures/placeholder.svg"' in page.text
    assert (await browser.get("/pictures/placeholder.svg")).status_code == 200


async def test_texts_of_the_catalogue_are_escaped(browser: Browser, api: FakeApi) -> None:
    bad = "</script><script>alert(1)</script>\"'"
    api.answer("GET /v1/products/MUG-1", {**MUG, "name": bad, "description": bad, "category": bad})
    api.answer("GET /v1/products", {"items": [{**MUG, "name": bad}], "next": None, "corrected": {bad: bad}})
    for path in ("/p/MUG-1", "/", f"/search?q={bad}", f"/c/{bad.replace('/', '%2F')}"):
        page = await browser.get(path)
        assert "<script>alert" not in page.text, path
        assert len(re.findall(r"<script(?! type=\"module\" src=\"/assets/)", page.text)) == (
            1 if path == "/p/MUG-1" else 0
        ), path


async def test_an_unknown_product_is_a_page_of_ours(browser: Browser) -> None:
    page = await browser.get("/p/NONE")
    assert page.status_code == 404
    assert "This page does not exist" in page.text


@pytest.mark.parametrize("sku", ["a%2F..%2Fadmin", "%3Fadmin=1"])
async def test_a_stock_code_leads_to_no_other_endpoint(browser: Browser, api: FakeApi, sku: str) -> None:
    await browser.get(f"/p/{sku}")
    for one in api.requests:
        assert one.url.raw_path.startswith(b"/v1/products/")
        assert one.url.raw_path.count(b"/") == 3
        assert b"?" not in one.url.raw_path


async def test_too_many_requests_says_when_to_try_again(browser: Browser, api: FakeApi) -> None:
    api.answer("GET /v1/products", {"message": "API rate limit exceeded"}, 429, Retry_After="7")
    page = await browser.get("/search")
    assert page.status_code == 429
    assert page.headers["retry-after"] == "7"
    assert "Wait 7 seconds" in page.text


async def test_while_the_api_is_down_a_page_says_so(browser: Browser, api: FakeApi) -> None:
    api.is_down = True
    page = await browser.get("/")
    assert page.status_code == 503
    assert "does not answer" in page.text


async def test_money_is_written_as_the_browsers_language_does(browser: Browser, api: FakeApi) -> None:
    api.answer("GET /v1/products/MUG-1", {**MUG, "price": 1990, "currency": "JPY"})
    assert "¥1,990" in (await browser.get("/p/MUG-1")).text
    api.answer("GET /v1/products/MUG-1", {**MUG, "price": 123450, "currency": "KWD"})
    assert "KWD123.450" in (await browser.get("/p/MUG-1")).text


async def test_products_are_suggested_while_a_search_is_typed(browser: Browser, api: FakeApi) -> None:
    api.answer("GET /v1/products/suggestions", {"items": [MUG], "corrected": {"mgu": "mug"}})
    answer = await browser.get("/suggest?q=+blue+Mgu+")
    [asked] = api.sent("GET /v1/products/suggestions")
    assert dict(asked.url.params) == {"q": "blue Mgu"}
    assert 'role="option" id="suggestion-1" data-href="/search?q=blue%20mug"' in answer.text
    assert "Did you mean blue mug?" in answer.text
    assert 'id="suggestion-2" data-href="/p/MUG-1"' in answer.text
    assert "£12.50" in answer.text
    assert 'data-summary="2 suggestions"' in answer.text


async def test_nothing_typed_suggests_nothing_and_makes_no_call(browser: Browser, api: FakeApi) -> None:
    answer = await browser.get("/suggest?q=+")
    assert 'data-summary="No suggestions"' in answer.text
    assert not api.requests


async def test_what_is_said_once_is_not_lost_to_suggestions(browser: Browser, api: FakeApi) -> None:
    api.answer("GET /v1/products/suggestions", {"items": [], "corrected": {}})
    await browser.get("/p/MUG-1")
    await browser.post("/cart/add", sku="MUG-1", quantity="0", key="k")
    await browser.get("/suggest?q=mug")
    assert "Enter a quantity" in (await browser.get("/p/MUG-1")).text


async def test_texts_of_suggestions_are_escaped(browser: Browser, api: FakeApi) -> None:
    bad = '"><script>alert(1)</script>'
    item = {**MUG, "name": bad, "picture": bad, "sku": bad}
    api.answer("GET /v1/products/suggestions", {"items": [item], "corrected": {"mgu": bad}})
    assert "<script" not in (await browser.get("/suggest?q=mgu")).text


async def test_browsers_may_read_products_before_a_click_and_nothing_of_a_shoppers_own(
    browser: Browser,
) -> None:
    page = await browser.get("/")
    rules = await browser.get(page.headers["speculation-rules"].strip('"'))
    assert rules.headers["content-type"] == "application/speculationrules+json"
    [rule] = rules.json()["prefetch"]
    assert {one["href_matches"] for one in rule["where"]["or"]} == {"/", "/p/*", "/c/*"}


@pytest.mark.parametrize("category", ["50% off?", "a#b", "tea & more", "\ue000\x17"])
async def test_any_category_has_a_list_with_filters(browser: Browser, category: str) -> None:
    path = f"/c/{quote(category)}"
    page = await browser.get(f"{path}?in_stock=true")
    assert f'href="{path}"' in page.text  # without the filter
    answer = await browser.get(f"{path}?from=1&to=2&currency=GBP")
    assert answer.headers["location"] == f"{path}?price_min=100&price_max=200"
