from typing import Any

import pytest

from ..conftest import Browser, FakeApi
from .test_cart import CART, add_a_mug

ORDER: dict[str, Any] = {
    "order_id": "0190",
    "number": "K7Q2X-9XMDA",
    "status": "pending",
    "total": {"amount": 2500, "currency": "GBP"},
    "action": None,
    "lines": [{"sku": "MUG-1", "name": "Blue mug", "quantity": 2, "unit_price": 1250}],
    "created_at": "2026-11-28T06:00:00.123456Z",
    "paid_at": None,
    "cancelled_at": None,
    "cancelled_by": None,
    "reason": None,
    "short": [],
    "decline_reason": None,
    "refunded_at": None,
    "fulfilled_at": None,
    "refunded": {"amount": 0, "currency": "GBP"},
    "shipping": None,
}
SHORT = [{"sku": "MUG-1", "wanted": 2, "available": 1}]
CREATED = {"type": "order.created", "time": "2026-11-28T06:00:00.123456Z"}
PAID = {"type": "order.paid", "time": "2026-11-28T06:00:02.123456Z"}
STREAM = "/v1/orders/0190/events?ticket=t"


@pytest.fixture
def api(api: FakeApi) -> FakeApi:
    api.answer("POST /v1/cart/items", {"version": 1, "quantity": 2})
    api.answer("GET /v1/cart/lines", {"items": []})
    api.answer("GET /v1/cart", CART)
    api.answer("GET /v1/orders", {"items": [ORDER], "next": None})
    api.answer("GET /v1/orders/0190/timeline", {"events": [CREATED]})
    api.answer("POST /v1/orders/0190/events/ticket", {"ticket": "t", "events": STREAM, "expires_in": 30}, 201)
    return api


@pytest.fixture
async def shopper(browser: Browser) -> Browser:
    await add_a_mug(browser)
    return browser


async def test_a_pending_order_shows_what_comes_next_and_refreshes(shopper: Browser, api: FakeApi) -> None:
    api.answer("GET /v1/orders/0190", ORDER)
    page = await shopper.get("/orders/0190")
    assert "Your order is being processed." in page.text
    assert "We have received your order." in page.text
    assert '<li class="waiting">Putting the goods aside' in page.text
    assert '<noscript><meta http-equiv="refresh" content="3"></noscript>' in page.text
    assert f'data-stream="{STREAM}"' in page.text
    assert "Cancel the order" in page.text


async def test_a_paid_order_stands_still_and_empties_the_count(shopper: Browser, api: FakeApi) -> None:
    api.answer("GET /v1/orders/0190", {**ORDER, "status": "paid", "paid_at": PAID["time"]})
    api.answer("GET /v1/orders/0190/timeline", {"events": [CREATED, PAID]})
    page = await shopper.get("/orders/0190")
    assert "Your order is paid." in page.text
    assert "http-equiv" not in page.text
    assert "data-stream" not in page.text
    assert 'class="waiting"' not in page.text
    assert 'class="count"><' in page.text
    assert not api.sent("POST /v1/orders/0190/events/ticket")


async def test_a_bank_that_asks_is_a_button(shopper: Browser, api: FakeApi) -> None:
    action = {"url": "https://bank.example/confirm?a=1&b=2", "expires_at": "2026-11-28T06:10:00Z"}
    api.answer("GET /v1/orders/0190", {**ORDER, "action": action})
    page = await shopper.get("/orders/0190")
    assert 'href="https://bank.example/confirm?a=1&amp;b=2"' in page.text
    assert "Confirm with your bank" in page.text


async def test_a_bank_page_that_is_no_web_address_is_not_linked(shopper: Browser, api: FakeApi) -> None:
    action = {"url": "javascript:alert(1)", "expires_at": "2026-11-28T06:10:00Z"}
    api.answer("GET /v1/orders/0190", {**ORDER, "action": action})
    assert "javascript:" not in (await shopper.get("/orders/0190")).text


async def test_from_the_bank_one_comes_back_to_the_newest_order(shopper: Browser, api: FakeApi) -> None:
    answer = await shopper.get("/orders/return?payment_intent=pi_1&redirect_status=succeeded")
    assert answer.headers["location"] == "/orders/0190"
    assert dict(api.sent("GET /v1/orders")[0].url.params) == {"limit": "1"}


@pytest.mark.parametrize(
    ("reason", "more", "text"),
    [
        (
            "out_of_stock",
            {"short": SHORT},
            "not everything was in stock",
        ),
        ("payment_declined", {"decline_reason": "insufficient_funds"}, "not enough money"),
        ("payment_declined", {"decline_reason": "something new"}, "did not say why"),
        ("expired", {}, "not paid in time"),
        ("shopper", {}, "as you asked"),
        ("shopper", {"cancelled_by": "staff"}, "Cancelled by the shop"),
    ],
)
async def test_a_cancelled_order_says_why(
    shopper: Browser, api: FakeApi, reason: str, more: dict[str, Any], text: str
) -> None:
    api.answer("GET /v1/orders/0190", {**ORDER, "status": "cancelled", "reason": reason, **more})
    page = await shopper.get("/orders/0190")
    assert text in page.text
    assert "Cancel the order" not in page.text


async def test_while_money_is_on_its_way_back_the_page_refreshes(shopper: Browser, api: FakeApi) -> None:
    cancelled = {**ORDER, "status": "cancelled", "reason": "shopper", "paid_at": PAID["time"]}
    api.answer("GET /v1/orders/0190", cancelled)
    assert "http-equiv" in (await shopper.get("/orders/0190")).text
    refunded = {"refunded_at": PAID["time"], "refunded": {"amount": 2500, "currency": "GBP"}}
    api.answer("GET /v1/orders/0190", {**cancelled, **refunded})
    page = await shopper.get("/orders/0190")
    assert "http-equiv" not in page.text
    assert "Refunded" in page.text


async def test_an_order_is_cancelled_by_a_button(shopper: Browser, api: FakeApi) -> None:
    api.answer("GET /v1/orders/0190", ORDER)
    api.answer("POST /v1/orders/0190/cancel", {**ORDER, "status": "cancelled"})
    await shopper.get("/orders/0190")
    answer = await shopper.post("/orders/0190/cancel")
    assert answer.headers["location"] == "/orders/0190"
    assert len(api.sent("POST /v1/orders/0190/cancel")) == 1


async def test_an_order_that_was_shipped_is_not_cancelled(shopper: Browser, api: FakeApi) -> None:
    api.answer("GET /v1/orders/0190", ORDER)
    api.refuse("POST /v1/orders/0190/cancel", 409, "/problems/order-fulfilled")
    await shopper.get("/orders/0190")
    await shopper.post("/orders/0190/cancel")
    assert "cannot be cancelled any more" in (await shopper.get("/orders/0190")).text


async def test_another_shoppers_order_does_not_exist(shopper: Browser, api: FakeApi) -> None:
    api.refuse("GET /v1/orders/0190", 404)
    assert (await shopper.get("/orders/0190")).status_code == 404


async def test_a_visitor_without_orders_makes_no_call(browser: Browser, api: FakeApi) -> None:
    assert "no orders in this browser" in (await browser.get("/orders")).text
    assert (await browser.get("/orders/0190")).status_code == 404
    assert (await browser.get("/orders/return")).headers["location"] == "/orders"
    assert not api.requests


async def test_the_list_leads_to_each_order_and_to_older_ones(shopper: Browser, api: FakeApi) -> None:
    api.answer("GET /v1/orders", {"items": [ORDER], "next": "0190"})
    page = await shopper.get("/orders")
    assert 'href="/orders/0190"' in page.text
    assert 'href="/orders?before=0190"' in page.text


async def test_names_and_addresses_are_escaped(shopper: Browser, api: FakeApi) -> None:
    bad = "<script>alert(1)</script>"
    parts = dict.fromkeys(
        ("name", "company", "street", "line2", "postcode", "city", "state", "country", "phone", "vat_id"), bad
    )
    lines = [{**ORDER["lines"][0], "name": bad}]
    api.answer("GET /v1/orders/0190", {**ORDER, "lines": lines, "shipping": parts})
    assert bad not in (await shopper.get("/orders/0190")).text
