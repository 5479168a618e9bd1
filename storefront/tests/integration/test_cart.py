import json
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from ..conftest import MUG, Browser, FakeApi

LINE: dict[str, Any] = {
    "sku": "MUG-1",
    "quantity": 2,
    "name": "Blue mug",
    "price": 1250,
    "currency": "GBP",
    "total": 2500,
    "available": 3,
    "status": "active",
    "problem": None,
}
CART: dict[str, Any] = {
    "items": [LINE],
    "total": 2500,
    "currency": "GBP",
    "version": 1,
    "degraded": False,
    "reason": None,
}
SHOWN = {"sku": "MUG-1", "was": "2", "version": "1"}  # in the forms of the line


@pytest.fixture
def api(api: FakeApi) -> FakeApi:
    api.answer("POST /v1/cart/items", {"version": 1, "quantity": 2})
    api.answer("GET /v1/cart/lines", {"items": [{"sku": "MUG-1", "quantity": 2}]})
    api.answer("GET /v1/cart", CART)
    api.answer("PUT /v1/cart/items/MUG-1", {"version": 2, "lines": 1})
    api.answer("DELETE /v1/cart/items/MUG-1", status=204)
    return api


async def add_a_mug(browser: Browser, quantity: str = "2") -> str:
    """As a shopper does on the product's page. Returns the form's key."""
    await browser.get("/p/MUG-1")
    key = browser.value("key")
    answer = await browser.post("/cart/add", sku="MUG-1", quantity=quantity, key=key)
    assert answer.status_code == 303
    await browser.get(answer.headers["location"])
    return key


async def test_adding_makes_a_guest_and_says_what_was_added(browser: Browser, api: FakeApi) -> None:
    key = await add_a_mug(browser)
    [added] = api.sent("POST /v1/cart/items")
    assert json.loads(added.content) == {"sku": "MUG-1", "quantity": 2}
    assert added.headers["authorization"] == "Bearer guest-token"
    assert added.headers["idempotency-key"] == key
    assert "2 pieces were put into the cart." in browser.page
    assert '<span class="count">2</span>' in browser.page
    await browser.get("/p/MUG-1")
    assert "were put into the cart" not in browser.page  # said once


async def test_a_shopper_stays_the_same_guest(browser: Browser, api: FakeApi) -> None:
    await add_a_mug(browser)
    await add_a_mug(browser)
    assert len(api.sent("POST /v1/guests")) == 1


async def test_the_token_never_reaches_a_page(browser: Browser) -> None:
    await add_a_mug(browser)
    assert "guest-token" not in browser.page
    assert "guest-token" not in str(browser.http.cookies)


async def test_a_new_identity_ends_forms_that_were_planted_before(browser: Browser) -> None:
    await browser.get("/p/MUG-1")
    planted = browser.csrf
    await add_a_mug(browser)
    assert (
        await browser.post("/cart/add", csrf=planted, sku="MUG-1", quantity="1", key="k")
    ).status_code == 403


@pytest.mark.parametrize("quantity", ["0", "-1", "1.5", "ten", "", "99999", "²"])
async def test_a_quantity_that_is_none_is_asked_for_again(
    browser: Browser, api: FakeApi, quantity: str
) -> None:
    await add_a_mug(browser, quantity)
    assert "Enter a quantity from 1" in browser.page
    assert not api.sent("POST /v1/cart/items")


@pytest.mark.parametrize(
    ("kind", "status", "text"),
    [
        ("/problems/not-for-sale", 404, "not sold any more"),
        ("/problems/cart-full", 409, "The cart is full"),
        ("/problems/too-many-pieces", 409, "Enter a quantity"),
    ],
)
async def test_what_cannot_be_added_is_explained(
    browser: Browser, api: FakeApi, kind: str, status: int, text: str
) -> None:
    api.refuse("POST /v1/cart/items", status, kind)
    await add_a_mug(browser)
    assert text in browser.page


async def test_the_cart_is_read_as_the_shopper(browser: Browser, api: FakeApi) -> None:
    await add_a_mug(browser)
    page = await browser.get("/cart")
    assert api.sent("GET /v1/cart")[0].headers["authorization"] == "Bearer guest-token"
    assert "£25.00" in page.text
    assert 'href="/checkout"' in page.text
    assert 'src="/pictures/mug.svg"' in page.text


async def test_a_visitor_without_a_cart_makes_no_call(browser: Browser, api: FakeApi) -> None:
    page = await browser.get("/cart")
    assert "Your cart is empty." in page.text
    assert not api.requests


@dataclass
class OtherTab:
    """Changes the cart while this tab shows its first version, at which two pieces are in it."""

    pieces: int
    version: int = 3

    def handle(self, request: httpx.Request) -> httpx.Response | None:
        """As cart does: a change needs the newest version."""
        if request.url.path.startswith("/v1/cart/items/"):
            is_newest = request.headers["if-match"] == f'"{self.version}"'
            return httpx.Response(200 if is_newest else 412, json={"type": "/problems/cart-changed"})
        if request.url.path == "/v1/cart/lines":
            lines = [{"sku": "MUG-1", "quantity": self.pieces}] if self.pieces else []
            return httpx.Response(200, json={"items": lines, "version": self.version})
        return None


CHANGES = {"/cart/change": "PUT", "/cart/remove": "DELETE"}


@pytest.mark.parametrize("path", CHANGES)
async def test_a_change_of_another_line_in_another_tab_is_no_obstacle(
    browser: Browser, api: FakeApi, path: str
) -> None:
    await add_a_mug(browser)
    await browser.get("/cart")
    assert {name: browser.value(name) for name in SHOWN} == SHOWN
    api.override = OtherTab(pieces=2).handle
    await browser.post(path, **SHOWN, quantity="5")
    sent = api.sent(f"{CHANGES[path]} /v1/cart/items/MUG-1")
    assert [one.headers["if-match"] for one in sent] == ['"1"', '"3"']
    assert "perhaps in another tab" not in (await browser.get("/cart")).text


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize(
    ("pieces", "text"),
    [(7, "It has 7 pieces of that product."), (0, "It has that product no more.")],
)
async def test_a_change_of_a_line_that_another_tab_has_changed_is_refused(
    browser: Browser, api: FakeApi, path: str, pieces: int, text: str
) -> None:
    await add_a_mug(browser)
    await browser.get("/cart")
    api.override = OtherTab(pieces=pieces).handle
    answer = await browser.post(path, **SHOWN, quantity="5")
    assert answer.headers["location"] == "/cart"
    assert len(api.sent(f"{CHANGES[path]} /v1/cart/items/MUG-1")) == 1  # and that one was refused
    page = (await browser.get("/cart")).text
    assert "perhaps in another tab" in page
    assert text in page
    assert "Undo" not in page


async def test_a_cart_that_never_stops_changing_is_left_alone(browser: Browser, api: FakeApi) -> None:
    await add_a_mug(browser)
    await browser.get("/cart")
    api.refuse("PUT /v1/cart/items/MUG-1", 412, "/problems/cart-changed")
    api.answer("GET /v1/cart/lines", {"items": [{"sku": "MUG-1", "quantity": 2}], "version": 9})
    await browser.post("/cart/change", **SHOWN, quantity="5")
    assert len(api.sent("PUT /v1/cart/items/MUG-1")) < 10
    assert "Nothing else was done" in (await browser.get("/cart")).text


async def test_a_price_that_has_changed_since_it_was_put_in_is_said(browser: Browser, api: FakeApi) -> None:
    await browser.get("/p/MUG-1")
    shown = {name: browser.value(name) for name in ("key", "price", "currency")}
    await browser.post("/cart/add", sku="MUG-1", quantity="2", **shown)
    assert "when you put it in" not in (await browser.get("/cart")).text
    api.answer("GET /v1/cart", {**CART, "items": [{**LINE, "price": 1300, "total": 2600}], "total": 2600})
    for _ in range(2):  # it stays until the line has gone
        page = await browser.get("/cart")
        assert "One costs £13.00 now; it was £12.50 when you put it in." in page.text
    api.answer("GET /v1/cart", {**CART, "items": [], "total": 0})
    await browser.get("/cart")
    api.answer("GET /v1/cart", CART)
    assert "when you put it in" not in (await browser.get("/cart")).text


@pytest.mark.parametrize("price", ["", "-1", "1e3", "²", "9" * 30, "<b>"])
async def test_a_price_that_is_none_is_not_remembered(browser: Browser, price: str) -> None:
    await browser.get("/p/MUG-1")
    await browser.post("/cart/add", sku="MUG-1", quantity="2", key="k", price=price, currency="GBP")
    assert "when you put it in" not in (await browser.get("/cart")).text


async def test_a_large_cart_fits_into_the_sessions_cookie(browser: Browser, api: FakeApi) -> None:
    items = [{**LINE, "sku": f"STOCK-CODE-{number:021}", "price": 99_999_999} for number in range(100)]
    api.answer("GET /v1/cart", {**CART, "items": items})
    await add_a_mug(browser)
    response = await browser.get("/cart")
    assert response.status_code == 200
    assert len(response.headers["set-cookie"]) < 2700  # with a token of 1,000 bytes below 4,096


async def test_a_quantity_is_changed_and_a_line_removed_and_put_back(browser: Browser, api: FakeApi) -> None:
    await add_a_mug(browser)
    await browser.get("/cart")
    await browser.post("/cart/change", **SHOWN, quantity="5")
    assert json.loads(api.sent("PUT /v1/cart/items/MUG-1")[0].content) == {"quantity": 5}
    assert "The quantity was changed." in (await browser.get("/cart")).text
    answer = await browser.post("/cart/remove", **{**SHOWN, "was": "5"})
    assert answer.headers["location"] == "/cart"
    assert len(api.sent("DELETE /v1/cart/items/MUG-1")) == 1
    await browser.get("/cart")
    assert "Undo" in browser.page
    undo = {name: browser.value(name) for name in ("quantity", "key", "to")}
    answer = await browser.post("/cart/add", sku="MUG-1", **undo)
    assert answer.headers["location"] == "/cart"
    assert json.loads(api.sent("POST /v1/cart/items")[-1].content) == {"sku": "MUG-1", "quantity": 5}


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"problem": "short", "available": 1}, "Only 1 left."),
        ({"problem": "short", "available": 0}, "Sold out"),
        ({"problem": "retired", "status": "retired"}, "not sold any more"),
    ],
)
async def test_what_cannot_be_ordered_is_said_before_paying(
    browser: Browser, api: FakeApi, changed: dict[str, Any], text: str
) -> None:
    api.answer("GET /v1/cart", {**CART, "items": [{**LINE, **changed}], "total": 0, "currency": None})
    await add_a_mug(browser)
    page = await browser.get("/cart")
    assert text in page.text
    assert 'href="/checkout"' not in page.text


async def test_while_product_is_unavailable_the_cart_is_shown_without_prices(
    browser: Browser, api: FakeApi
) -> None:
    nothing = dict.fromkeys(("name", "price", "currency", "total", "available", "status", "problem"))
    degraded = {"degraded": True, "reason": "product", "total": None, "currency": None}
    api.answer("GET /v1/cart", {**CART, **degraded, "items": [{**LINE, **nothing}]})
    await add_a_mug(browser)
    page = await browser.get("/cart")
    assert page.status_code == 200
    assert "Your cart is safe" in page.text


async def test_a_token_that_is_no_longer_valid_makes_a_new_visitor(browser: Browser, api: FakeApi) -> None:
    await add_a_mug(browser)
    api.answer("GET /v1/cart", {"message": "Unauthorized"}, 401)
    answer = await browser.get("/cart")
    assert (answer.status_code, answer.headers["location"]) == (303, "/cart")
    assert "Your cart is empty." in (await browser.get("/cart")).text


async def test_where_a_request_came_from_reaches_the_gateway(browser: Browser, api: FakeApi) -> None:
    await browser.get("/p/MUG-1", X_Forwarded_For="203.0.113.7", X_Forwarded_Proto="https")
    assert api.requests[0].headers["x-forwarded-for"] == "203.0.113.7"
    assert api.requests[0].headers["x-forwarded-proto"] == "https"


async def test_names_in_the_cart_are_escaped(browser: Browser, api: FakeApi) -> None:
    bad = '"><script>alert(1)</script>'
    api.answer("GET /v1/cart", {**CART, "items": [{**LINE, "name": bad}]})
    api.answer("GET /v1/products", {"items": [{**MUG, "picture": bad}], "next": None, "corrected": {}})
    await add_a_mug(browser)
    assert "<script>alert" not in (await browser.get("/cart")).text
