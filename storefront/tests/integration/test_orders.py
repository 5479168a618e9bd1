import re
from datetime import timedelta
from typing import Any

import pytest

from ..conftest import NOW, Browser, FakeApi
from .test_cart import CART, add_a_mug


def ago(**more: float) -> str:
    """A time of the API, before now."""
    return (NOW - timedelta(**more)).isoformat()


ORDER: dict[str, Any] = {
    "order_id": "0190",
    "number": "K7Q2X-9XMDA",
    "status": "pending",
    "total": {"amount": 2500, "currency": "GBP"},
    "action": None,
    "lines": [{"sku": "MUG-1", "name": "Blue mug", "quantity": 2, "unit_price": 1250}],
    "created_at": ago(seconds=9),
    "paid_at": None,
    "cancelled_at": None,
    "cancelled_by": None,
    "reason": None,
    "short": [],
    "decline_reason": None,
    "refunded_at": None,
    "fulfilled_at": None,
    "refunded": {"amount": 0, "currency": "GBP"},
    "stock_released_at": None,
    "voided_at": None,
    "returns": [],
    "failed_refunds": [],
    "disputes": [],
    "shipping": None,
}
SHORT = [{"sku": "MUG-1", "wanted": 2, "available": 1}]


def event(type_: str, by: str, time: str, cause: str | None = None, **data: Any) -> dict[str, Any]:
    return {
        "id": f"{type_}/0190",
        "type": type_,
        "said_by": by,
        "time": time,
        "causation_id": cause and f"{cause}/0190",
        "traceparent": None,
        "data": data,
    }


CREATED = event("order.created", "order", ago(seconds=9))
PAID = event("order.paid", "payment", ago(seconds=7), "stock.reserved")
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


async def test_from_the_bank_one_comes_back_to_the_order_that_was_paid(
    shopper: Browser, api: FakeApi
) -> None:
    order = "01a22165-5926-7828-b092-e0aa080b2879"
    answer = await shopper.get(f"/orders/return?order={order}&payment_intent=pi_1")
    assert answer.headers["location"] == f"/orders/{order}"


@pytest.mark.parametrize("named", ["//evil.example", "..", "%0d%0aSet-Cookie:a=b", "nonsense"])
async def test_from_the_bank_no_other_page_is_led_to(shopper: Browser, api: FakeApi, named: str) -> None:
    answer = await shopper.get(f"/orders/return?order={named}")
    assert answer.headers["location"] == "/orders/0190"


async def test_from_the_bank_one_comes_back_to_the_newest_order(shopper: Browser, api: FakeApi) -> None:
    answer = await shopper.get("/orders/return?payment_intent=pi_1&redirect_status=succeeded")
    assert answer.headers["location"] == "/orders/0190"
    assert dict(api.sent("GET /v1/orders")[0].url.params) == {"limit": "1"}


TOTAL = {"amount": 2500, "currency": "GBP"}


@pytest.mark.parametrize(
    ("more", "text", "short"),
    [
        ({}, "The receipt is on its way", "Paid"),
        ({"fulfilled_at": ago(hours=1)}, "paid and was shipped", "Shipped"),
        (
            {"refunded": {"amount": 1250, "currency": "GBP"}},
            "a part of the money was sent",
            "Partly refunded",
        ),
        ({"refunded": TOTAL}, "refunded in full", "Refunded"),
        (
            {"status": "cancelled", "refunded_at": ago(hours=1), "refunded": TOTAL},
            "was sent back to you",
            "refunded",
        ),
        ({"status": "cancelled"}, "on its way back to you", "Cancelled"),
    ],
)
async def test_what_was_paid_is_said_with_what_became_of_the_money(
    shopper: Browser, api: FakeApi, more: dict[str, Any], text: str, short: str
) -> None:
    order = {**ORDER, "status": "paid", "reason": "shopper", "paid_at": PAID["time"], **more}
    api.answer("GET /v1/orders/0190", order)
    api.answer("GET /v1/orders/0190/returns", {"items": [], "until": None})
    api.answer("GET /v1/orders", {"items": [order], "next": None})
    assert text in (await shopper.get("/orders/0190")).text
    assert f"{short}</td>" in (await shopper.get("/orders")).text


async def test_an_order_that_was_not_charged_says_so(shopper: Browser, api: FakeApi) -> None:
    api.answer("GET /v1/orders/0190", {**ORDER, "status": "cancelled", "reason": "expired"})
    assert "not paid in time. You were not charged." in (await shopper.get("/orders/0190")).text


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("needs_response", "You dispute £25.00 with your bank."),
        ("lost", "Your bank has paid £25.00 back to you."),
        ("won", "has ended. The payment stays."),
    ],
)
async def test_a_dispute_is_said_plainly(shopper: Browser, api: FakeApi, status: str, text: str) -> None:
    dispute = {
        "dispute_id": "dp_1",
        "amount": TOTAL,
        "reason": "fraudulent",
        "status": status,
        "due_by": None,
    }
    api.answer("GET /v1/orders/0190", {**ORDER, "status": "paid", "disputes": [dispute]})
    assert text in (await shopper.get("/orders/0190")).text


async def test_a_failed_refund_is_said_until_the_money_was_sent_in_another_way(
    shopper: Browser, api: FakeApi
) -> None:
    failed = {"refund_id": "0192", "amount": TOTAL, "code": "lost_or_stolen_card", "failed_at": ago(hours=1)}
    order = {**ORDER, "status": "cancelled", "paid_at": PAID["time"], "refunded_at": ago(hours=2)}
    order["failed_refunds"] = [failed]
    api.answer("GET /v1/orders/0190", order)
    assert "A refund of £25.00 did not reach you." in (await shopper.get("/orders/0190")).text
    api.answer("GET /v1/orders/0190", {**order, "refunded": TOTAL})
    assert "did not reach you" not in (await shopper.get("/orders/0190")).text


@pytest.mark.parametrize(
    ("more", "last", "seconds"),
    [
        ({"status": "pending"}, {"minutes": 1}, "3"),
        ({"status": "paid"}, {"minutes": 1}, "10"),  # until it is shipped
        ({"status": "paid"}, {"minutes": 20}, "60"),
        ({"status": "paid"}, {"days": 2}, None),
        ({"status": "paid", "fulfilled_at": ago(minutes=1)}, {"minutes": 1}, None),
        ({"status": "cancelled", "paid_at": ago(minutes=2)}, {"minutes": 1}, "3"),
        ({"status": "cancelled", "paid_at": ago(days=3)}, {"days": 2}, None),
    ],
)
async def test_the_page_looks_again_while_something_is_under_way_but_not_for_ever(
    shopper: Browser, api: FakeApi, more: dict[str, Any], last: dict[str, float], seconds: str | None
) -> None:
    api.answer("GET /v1/orders/0190", {**ORDER, **more})
    api.answer("GET /v1/orders/0190/returns", {"items": [], "until": None})
    api.answer("GET /v1/orders/0190/timeline", {"events": [event("order.created", "order", ago(**last))]})
    page = (await shopper.get("/orders/0190")).text
    found = re.search('data-refresh="([0-9]+)"', page)
    assert (found and found[1]) == seconds


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
    page = await shopper.get("/orders/0190")
    assert "http-equiv" in page.text
    assert re.search(r"Refunded</th><td class=\"number\">£0.00<", page.text)  # there is room for it
    refunded = {"refunded_at": PAID["time"], "refunded": {"amount": 2500, "currency": "GBP"}}
    api.answer("GET /v1/orders/0190", {**cancelled, **refunded})
    page = await shopper.get("/orders/0190")
    assert "http-equiv" not in page.text
    assert re.search(r"Refunded</th><td class=\"number\">-£25.00<", page.text)


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


async def test_the_address_is_written_as_in_its_country(shopper: Browser, api: FakeApi) -> None:
    shipping = dict.fromkeys(("company", "line2", "state", "phone")) | {
        "name": "Ada Neri",
        "street": "1 Example Street",
        "postcode": "N1 7AA",
        "city": "London",
        "country": "GB",
        "vat_id": "GB123",
    }
    api.answer("GET /v1/orders/0190", {**ORDER, "shipping": shipping})
    lines = re.findall(r"^\s*(.*)<br>$", (await shopper.get("/orders/0190")).text, re.MULTILINE)
    assert lines == ["Ada Neri", "1 Example Street", "London N1 7AA", "United Kingdom", "GB123"]
