"""What the pages of the catalogue ask the API for, and what they need not ask for again."""

from typing import Any

import pytest

from ..conftest import MUG, Browser, FakeApi

LISTED: dict[str, Any] = {"items": [MUG], "next": None, "corrected": {}}


async def add_a_mug(browser: Browser, api: FakeApi) -> None:
    api.answer("POST /v1/cart/items", {"version": 1, "quantity": 1})
    api.answer("GET /v1/cart/lines", {"items": [{"sku": "MUG-1", "quantity": 1}]})
    await browser.get("/p/MUG-1")
    await browser.post("/cart/add", sku="MUG-1", quantity="1", key="k")


async def test_an_answer_for_everybody_is_asked_for_once(browser: Browser, api: FakeApi) -> None:
    api.answer("GET /v1/products", LISTED, Cache_Control="public, max-age=5")
    for _ in range(3):
        browser.http.cookies.clear()
        assert "Blue mug" in (await browser.get("/search?q=mug")).text
    assert len(api.sent("GET /v1/products")) == 1
    await browser.get("/search?q=blue")
    assert len(api.sent("GET /v1/products")) == 2


@pytest.mark.parametrize("cache_control", ["no-store", "private, max-age=60", "max-age=60"])
async def test_an_answer_that_is_not_for_everybody_is_asked_for_each_time(
    browser: Browser, api: FakeApi, cache_control: str
) -> None:
    api.answer("GET /v1/products", LISTED, Cache_Control=cache_control)
    for _ in range(2):
        await browser.get("/search?q=mug")
    assert len(api.sent("GET /v1/products")) == 2


async def test_a_product_that_is_as_before_is_not_sent_again(browser: Browser, api: FakeApi) -> None:
    api.answer("GET /v1/products/MUG-1", MUG, Cache_Control="no-cache", ETag='"1"')
    await browser.get("/p/MUG-1")
    api.answer("GET /v1/products/MUG-1", None, 304, Cache_Control="no-cache", ETag='"1"')
    assert "Blue mug" in (await browser.get("/p/MUG-1")).text
    first, second = api.sent("GET /v1/products/MUG-1")
    assert "if-none-match" not in first.headers
    assert second.headers["if-none-match"] == '"1"'
    api.answer("GET /v1/products/MUG-1", {**MUG, "name": "Red mug"}, Cache_Control="no-cache", ETag='"2"')
    assert "Red mug" in (await browser.get("/p/MUG-1")).text


async def test_the_catalogue_is_asked_for_without_the_shoppers_token(browser: Browser, api: FakeApi) -> None:
    await add_a_mug(browser, api)
    api.requests.clear()
    for path in ("/", "/search?q=mug", "/c/kitchen", "/p/MUG-1"):
        await browser.get(path)
    assert api.requests
    assert not [one for one in api.requests if "authorization" in one.headers]


async def test_a_shoppers_own_data_is_asked_for_each_time(browser: Browser, api: FakeApi) -> None:
    cart = {"items": [], "total": 0, "currency": None, "version": 1, "degraded": False, "reason": None}
    api.answer("GET /v1/cart", cart, Cache_Control="public, max-age=60")
    await add_a_mug(browser, api)
    for _ in range(2):
        await browser.get("/cart")
    asked = api.sent("GET /v1/cart")
    assert [one.headers["authorization"] for one in asked] == ["Bearer guest-token"] * 2
