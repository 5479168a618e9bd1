import json
from html import unescape
from typing import Any

import pytest

from ..conftest import ORIGIN, Browser, FakeApi
from .test_cart import CART, LINE, add_a_mug

ADDRESS = {
    "email": "ada@example.com",
    "name": "Ada Neri",
    "street": "1 Example Street",
    "city": "London",
    "postcode": "N1 7AA",
    "country": "GB",
}
PLACED = {"order_id": "0190-order", "number": "K7Q2X-9XMDA", "status": "pending"}


def answer_checkout(api: FakeApi) -> FakeApi:
    """The API of a shopper who puts two mugs into the cart and orders them."""
    api.answer("POST /v1/cart/items", {"version": 1, "quantity": 2})
    api.answer("GET /v1/cart/lines", {"items": [{"sku": "MUG-1", "quantity": 2}]})
    api.answer("GET /v1/cart", CART)
    api.answer("POST /v1/orders", PLACED, 202)
    return api


@pytest.fixture
def api(api: FakeApi) -> FakeApi:
    return answer_checkout(api)


@pytest.fixture
async def at_the_checkout(browser: Browser) -> Browser:
    await add_a_mug(browser)
    page = await browser.get("/checkout")
    assert page.status_code == 200
    return browser


def form_of(browser: Browser, **changed: str) -> dict[str, str]:
    """What the page's form sends, filled in."""
    names = ("key", "total", "currency", "lines")
    hidden = {name: unescape(browser.value(name)) for name in names}
    return {**hidden, **ADDRESS, "card": "pm_card_visa", **changed}


async def test_an_order_is_placed_with_what_the_page_showed(at_the_checkout: Browser, api: FakeApi) -> None:
    form = form_of(at_the_checkout, card="pm_card_authenticationRequired")
    answer = await at_the_checkout.post("/checkout", **form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/orders/0190-order")
    [placed] = api.sent("POST /v1/orders")
    assert placed.headers["idempotency-key"] == form["key"]
    assert json.loads(placed.content) == {
        "email": "ada@example.com",
        "shipping": {name: text for name, text in ADDRESS.items() if name != "email"},
        "return_url": f"{ORIGIN}/orders/return?order={{order_id}}",
        "payment_method": "pm_card_authenticationRequired",
        "expected_total": {"amount": 2500, "currency": "GBP"},
        "expected_lines": [{"sku": "MUG-1", "quantity": 2}],
    }


async def test_a_form_that_is_sent_twice_has_one_key(at_the_checkout: Browser, api: FakeApi) -> None:
    form = {**form_of(at_the_checkout), "csrf": at_the_checkout.csrf}
    for _ in range(2):
        assert (await at_the_checkout.post("/checkout", **form)).status_code == 303
    first, second = api.sent("POST /v1/orders")
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert first.content == second.content


async def test_each_new_form_has_a_key_of_its_own(at_the_checkout: Browser) -> None:
    before = at_the_checkout.value("key")
    await at_the_checkout.get("/checkout")
    assert at_the_checkout.value("key") != before


async def test_what_is_missing_is_said_beside_the_fields_and_in_a_summary(
    at_the_checkout: Browser, api: FakeApi
) -> None:
    form = form_of(at_the_checkout, email="ada", city=" ", street="2 Other Street")
    page = await at_the_checkout.post("/checkout", **form)
    assert page.status_code == 422
    assert not api.sent("POST /v1/orders")
    assert '<a href="#email">' in page.text
    assert 'id="city-why"' in page.text
    assert 'aria-describedby="city-why"' in page.text
    assert "autofocus" in page.text
    assert 'value="2 Other Street"' in page.text  # what was entered stays


async def test_what_the_api_refuses_is_said_beside_its_field(at_the_checkout: Browser, api: FakeApi) -> None:
    errors = [{"pointer": "/shipping/postcode", "detail": "is needed"}]
    api.refuse("POST /v1/orders", 422, errors=errors)
    form = form_of(at_the_checkout)
    page = await at_the_checkout.post("/checkout", **form)
    assert page.status_code == 422
    assert 'id="postcode-why"' in page.text
    assert at_the_checkout.value("key") != form["key"]


@pytest.mark.parametrize(
    ("kind", "status", "text", "keeps_its_key"),
    [
        ("/problems/total-changed", 409, "a price has changed", False),
        ("/problems/too-many-open-orders", 409, "many open orders", False),
        ("/problems/too-many-open-pieces", 409, "very many pieces", False),
        ("/problems/idempotency-key-in-use", 409, "Wait a moment", True),
        ("/problems/idempotency-key-reused", 422, "other entries", False),
        ("/problems/too-many-declined", 429, "declined", False),
        ("/problems/too-many-lines", 429, "Wait a minute", False),
        ("about:blank", 503, "placed only once", True),
        ("about:blank", 502, "placed only once", True),
    ],
)
async def test_a_refusal_says_what_to_do(
    at_the_checkout: Browser, api: FakeApi, kind: str, status: int, text: str, keeps_its_key: bool
) -> None:
    api.refuse("POST /v1/orders", status, kind)
    form = form_of(at_the_checkout)
    page = await at_the_checkout.post("/checkout", **form)
    assert page.status_code == (503 if status == 502 else status)
    assert text in page.text
    assert (at_the_checkout.value("key") == form["key"]) == keeps_its_key
    assert f'value="{ADDRESS["street"]}"' in page.text


async def test_when_nothing_answers_the_form_stays_and_can_be_sent_again(
    at_the_checkout: Browser, api: FakeApi
) -> None:
    form = form_of(at_the_checkout)
    api.is_down = True
    page = await at_the_checkout.post("/checkout", **form)
    assert page.status_code == 503
    again = form_of(at_the_checkout)
    assert again == form
    api.is_down = False
    assert (await at_the_checkout.post("/checkout", **again)).status_code == 303


async def test_a_cart_that_was_ordered_leads_to_its_order(at_the_checkout: Browser, api: FakeApi) -> None:
    api.refuse("POST /v1/orders", 409, "/problems/cart-already-ordered", order_id="0190-first")
    answer = await at_the_checkout.post("/checkout", **form_of(at_the_checkout))
    assert answer.headers["location"] == "/orders/0190-first"


@pytest.mark.parametrize(
    "cart",
    [
        {**CART, "items": []},
        {**CART, "total": None, "degraded": True},
        {**CART, "items": [{**LINE, "problem": "retired"}]},
    ],
)
async def test_a_cart_that_cannot_be_ordered_is_shown_first(
    browser: Browser, api: FakeApi, cart: dict[str, Any]
) -> None:
    api.answer("GET /v1/cart", cart)
    await add_a_mug(browser)
    answer = await browser.get("/checkout")
    assert answer.headers["location"] == "/cart"


async def test_what_is_free_needs_no_card(browser: Browser, api: FakeApi) -> None:
    free = {**LINE, "price": 0, "total": 0}
    api.answer("GET /v1/cart", {**CART, "items": [free], "total": 0})
    await add_a_mug(browser)
    await browser.get("/checkout")
    assert 'name="card"' not in browser.page
    answer = await browser.post("/checkout", **form_of(browser, card=""))
    assert answer.status_code == 303
    assert "payment_method" not in json.loads(api.sent("POST /v1/orders")[0].content)


@pytest.mark.parametrize("changed", [{"lines": "{"}, {"lines": "[1]"}, {"total": "x"}])
async def test_hidden_fields_that_were_tampered_with_order_nothing_unseen(
    at_the_checkout: Browser, api: FakeApi, changed: dict[str, str]
) -> None:
    await at_the_checkout.post("/checkout", **form_of(at_the_checkout, **changed))
    sent = json.loads(api.sent("POST /v1/orders")[0].content)
    assert sent["expected_total"]["amount"] == 0
    assert sent["expected_lines"] == []


async def test_the_card_is_one_of_the_pages(at_the_checkout: Browser, api: FakeApi) -> None:
    page = await at_the_checkout.post("/checkout", **form_of(at_the_checkout, card="4242424242424242"))
    assert page.status_code == 422
    assert not api.sent("POST /v1/orders")
    assert "4242424242424242" not in page.text


async def test_another_country_brings_its_fields_and_places_no_order(
    at_the_checkout: Browser, api: FakeApi
) -> None:
    assert 'name="state"' not in at_the_checkout.page
    form = form_of(at_the_checkout, country="US", city="Boston")
    page = await at_the_checkout.post("/checkout", update="fields", **form)
    assert page.status_code == 200
    assert not api.sent("POST /v1/orders")
    assert page.text.index('id="city"') < page.text.index('id="state"') < page.text.index('id="postcode"')
    assert "ZIP code" in page.text
    assert 'value="Boston"' in page.text
    assert at_the_checkout.value("key") == form["key"]
    assert 'role="alert"' not in page.text


async def test_a_line_that_the_country_needs_is_asked_for(at_the_checkout: Browser, api: FakeApi) -> None:
    page = await at_the_checkout.post("/checkout", **form_of(at_the_checkout, country="US"))
    assert page.status_code == 422
    assert 'id="state-why"' in page.text
    page = await at_the_checkout.post("/checkout", **form_of(at_the_checkout, postcode=""))
    assert 'id="postcode-why"' in page.text
    assert not api.sent("POST /v1/orders")
    answer = await at_the_checkout.post("/checkout", **form_of(at_the_checkout, country="IE", postcode=""))
    assert answer.status_code == 303
    assert json.loads(api.sent("POST /v1/orders")[0].content)["shipping"]["country"] == "IE"


async def test_the_first_button_places_the_order_as_enter_presses_it(at_the_checkout: Browser) -> None:
    form = at_the_checkout.page.partition('id="checkout"')[2]
    first = form[form.index("<button") : form.index("</button>")]
    assert "name=" not in first
