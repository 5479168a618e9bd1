"""What an account does with itself, mailed links, and orders of guests."""

import json
from typing import Any

import pytest

from ..conftest import Browser, FakeApi
from .test_cart import CART
from .test_logins import ADA, ME, TOKENS, log_in

NEW = "a longer password"
FOUND: dict[str, Any] = {
    "number": "K7Q2X-9XMDA",
    "status": "pending",
    "total": {"amount": 2500, "currency": "GBP"},
    "events": {"href": "/v1/orders/0190/events?ticket=t", "expires_in": 30},
    "action": {"url": "https://bank.example/confirm", "expires_at": "2026-11-01T09:10:00Z"},
    "lines": [{"sku": "MUG-1", "name": "Blue mug", "quantity": 2, "unit_price": 1250}],
    "created_at": "2026-11-01T09:00:00Z",
    "deadline": "2026-11-01T09:15:00Z",
    "paid_at": None,
    "cancelled_at": None,
    "reason": None,
    "short": [],
    "decline_reason": None,
    "refunded_at": None,
}


@pytest.fixture
def api(api: FakeApi) -> FakeApi:
    api.answer("POST /v1/token", TOKENS)
    api.answer("GET /v1/users/me", ME)
    api.answer("GET /v1/cart/lines", {"items": []})
    api.answer("POST /v1/users/me/confirmation", None, 202)
    api.answer("POST /v1/password-resets", None, 202)
    for path in ("users/me/password", "users/me/deletion", "password-resets/complete", "email-confirmations"):
        api.answer(f"POST /v1/{path}", None, 204)
    api.answer("POST /v1/order-lookups", FOUND)
    api.answer("POST /v1/order-claims", {"order_id": "0190-order"})
    return api


@pytest.fixture
async def ada(browser: Browser) -> Browser:
    """A browser in which Ada is logged in."""
    await log_in(browser)
    await browser.get("/account")
    return browser


def body(api: FakeApi, call: str) -> Any:
    """Of the only request."""
    [request] = api.sent(call)
    return json.loads(request.content)


@pytest.mark.parametrize("path", ["/account", "/account/password", "/account/export", "/account/deletion"])
async def test_who_is_not_logged_in_is_asked_to(browser: Browser, api: FakeApi, path: str) -> None:
    answer = await browser.get(path)
    assert answer.headers["location"] == f"/login?next={path.replace('/', '%2F')}"
    assert not api.requests


async def test_the_password_is_changed_and_this_session_stays(ada: Browser, api: FakeApi) -> None:
    await ada.get("/account/password")
    answer = await ada.post("/account/password", password="old", new_password=NEW)
    assert answer.headers["location"] == "/account"
    sent = {"password": "old", "new_password": NEW, "refresh_token": "refresh-1"}
    assert body(api, "POST /v1/users/me/password") == sent
    assert "Your password is changed." in (await ada.get("/account")).text


@pytest.mark.parametrize(
    ("status", "kind", "field", "text"),
    [
        (403, "/problems/wrong-password", "password", "This is not your password."),
        (422, "/problems/password-is-address", "new_password", "not your e-mail address"),
        (429, "/problems/too-many-attempts", None, "Too many attempts."),
        (503, "about:blank", None, "does not answer"),
    ],
)
async def test_a_change_that_is_refused_says_why(
    ada: Browser, api: FakeApi, status: int, kind: str, field: str | None, text: str
) -> None:
    api.refuse("POST /v1/users/me/password", status, kind)
    await ada.get("/account/password")
    page = await ada.post("/account/password", password="old", new_password=NEW)
    assert (page.status_code, text in page.text) == (status, True)
    assert (field is None) or f'id="{field}-why"' in page.text
    assert NEW not in page.text


@pytest.mark.parametrize("status", [202, 429])
async def test_a_mail_that_confirms_can_be_asked_for(ada: Browser, api: FakeApi, status: int) -> None:
    assert "not confirmed yet" in ada.page
    if status == 429:
        api.refuse("POST /v1/users/me/confirmation", 429, "/problems/too-many-attempts")
    answer = await ada.post("/account/confirmation")
    assert answer.status_code == (303 if status == 202 else 429)
    api.answer("GET /v1/users/me", {**ME, "email_verified": True})
    assert "/account/confirmation" not in (await ada.get("/account")).text


async def test_the_data_are_a_file_with_orders_and_cart(ada: Browser, api: FakeApi) -> None:
    elsewhere = [{"what": "The orders.", "href": "/v1/orders"}]
    api.answer("GET /v1/users/me/export", {"account": ME, "sessions": [], "elsewhere": elsewhere})
    api.answer("GET /v1/cart/lines", {"items": [{"sku": "MUG-1", "quantity": 2}]})
    api.answer("GET /v1/orders", {"items": [{"number": "K7Q2X-9XMDA"}], "next": None})
    answer = await ada.get("/account/export")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.json() == {
        "account": ME,
        "sessions": [],
        "cart": [{"sku": "MUG-1", "quantity": 2}],
        "orders": [{"number": "K7Q2X-9XMDA"}],
    }


async def test_an_account_is_deleted_with_its_password(ada: Browser, api: FakeApi) -> None:
    await ada.get("/account/deletion")
    assert (await ada.post("/account/deletion", password="")).status_code == 422
    api.refuse("POST /v1/users/me/deletion", 403, "/problems/wrong-password")
    page = await ada.post("/account/deletion", password="wrong")
    assert 'id="password-why"' in page.text
    api.requests.clear()
    api.answer("POST /v1/users/me/deletion", None, 204)
    await ada.post("/account/deletion", password="right")
    assert body(api, "POST /v1/users/me/deletion") == {"password": "right"}
    assert "Your account is deleted." in (await ada.get("/")).text
    assert (await ada.get("/account")).status_code == 303


async def test_a_reset_says_the_same_whatever_the_address(browser: Browser, api: FakeApi) -> None:
    await browser.get("/reset")
    answer = await browser.post("/reset", email=ADA["email"])
    assert body(api, "POST /v1/password-resets") == {"email": ADA["email"]}
    assert "If there is an account" in (await browser.get(answer.headers["location"])).text


@pytest.mark.parametrize("entered", ["tok-1", "http://localhost:18000/reset/new#tok-1", "#tok-1 "])
async def test_a_new_password_is_chosen_with_the_link_of_the_mail(
    browser: Browser, api: FakeApi, entered: str
) -> None:
    page = await browser.get("/reset/new")
    assert "/assets/mailed.js" in page.text
    answer = await browser.post("/reset/new", token=entered, password=NEW)
    assert body(api, "POST /v1/password-resets/complete") == {"token": "tok-1", "password": NEW}
    assert answer.headers["location"] == "/login"
    assert "Your new password is set." in (await browser.get("/login")).text


async def test_a_reset_ends_the_session_here_too(ada: Browser) -> None:
    await ada.get("/reset/new")
    await ada.post("/reset/new", token="tok-1", password=NEW)
    assert (await ada.get("/account")).status_code == 303


@pytest.mark.parametrize("path", ["/reset/new", "/confirm", "/claim"])
async def test_a_link_that_is_used_up_says_so(ada: Browser, api: FakeApi, path: str) -> None:
    for call in ("password-resets/complete", "email-confirmations"):
        api.refuse(f"POST /v1/{call}", 422, "/problems/token-not-valid")
    api.refuse("POST /v1/order-claims", 410, "/problems/claim-link-expired")
    await ada.get(path)
    page = await ada.post(path, token="tok-1", password=NEW)
    assert page.status_code in (410, 422)
    assert "This link is not valid any more" in page.text
    page = await ada.post(path, token="", password=NEW)
    assert "or paste it here" in page.text


async def test_an_address_is_confirmed_by_a_button_and_not_by_opening_the_page(
    ada: Browser, api: FakeApi
) -> None:
    await ada.get("/confirm")
    assert not api.sent("POST /v1/email-confirmations")
    await ada.post("/confirm", token="tok-1")
    assert body(api, "POST /v1/email-confirmations") == {"token": "tok-1"}
    assert "Your address is confirmed." in (await ada.get("/account")).text


async def test_an_order_is_found_by_number_and_address_and_can_be_reloaded(
    browser: Browser, api: FakeApi
) -> None:
    await browser.get("/orders/find?number=K7Q2X-9XMDA")
    assert 'value="K7Q2X-9XMDA"' in browser.page
    answer = await browser.post("/orders/find", number="K7Q2X-9XMDA", email=ADA["email"])
    assert answer.headers["location"] == "/orders/found"
    for _ in range(2):
        page = await browser.get("/orders/found")
        assert "Order K7Q2X-9XMDA" in page.text
        assert 'href="https://bank.example/confirm"' in page.text
        assert 'http-equiv="refresh"' in page.text
    sent = json.loads(api.sent("POST /v1/order-lookups")[-1].content)
    assert sent == {"number": "K7Q2X-9XMDA", "email": ADA["email"]}


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"status": "paid", "action": None, "paid_at": "2026-11-01T09:01:00Z"}, "Your order is paid."),
        ({"status": "cancelled", "action": None, "reason": "expired"}, "it was not paid in time"),
    ],
)
async def test_a_found_order_says_how_it_is(
    browser: Browser, api: FakeApi, changed: dict[str, Any], text: str
) -> None:
    api.answer("POST /v1/order-lookups", {**FOUND, **changed})
    await browser.get("/orders/find")
    await browser.post("/orders/find", number="K7Q2X-9XMDA", email=ADA["email"])
    page = await browser.get("/orders/found")
    assert text in page.text
    assert 'http-equiv="refresh"' not in page.text


async def test_a_found_orders_bank_page_is_a_web_address(browser: Browser, api: FakeApi) -> None:
    action = {**FOUND["action"], "url": "javascript:alert(1)"}
    api.answer("POST /v1/order-lookups", {**FOUND, "action": action})
    await browser.get("/orders/find")
    await browser.post("/orders/find", number="K7Q2X-9XMDA", email=ADA["email"])
    assert "javascript:" not in (await browser.get("/orders/found")).text


@pytest.mark.parametrize(
    ("status", "text"),
    [(404, "no order with this number"), (429, "Too many attempts."), (422, "Enter the order's number")],
)
async def test_an_order_that_is_not_found_says_so(
    browser: Browser, api: FakeApi, status: int, text: str
) -> None:
    api.refuse("POST /v1/order-lookups", status, errors=[{"pointer": "/number"}] if status == 422 else [])
    await browser.get("/orders/find")
    page = await browser.post("/orders/find", number="K7Q2X-9XMDA", email=ADA["email"])
    assert page.status_code == status
    assert text in page.text


async def test_a_guests_order_is_claimed_after_logging_in(browser: Browser, api: FakeApi) -> None:
    await browser.get("/claim")
    answer = await browser.post("/claim", token="http://localhost:18000/claim#tok-1")
    assert answer.headers["location"] == "/login?next=%2Fclaim"
    assert not api.sent("POST /v1/order-claims")
    await browser.get(answer.headers["location"])
    answer = await browser.post("/login", **ADA, next=browser.value("next"))
    await browser.get(answer.headers["location"])
    assert 'value="tok-1"' in browser.page
    answer = await browser.post("/claim", token="tok-1")
    assert answer.headers["location"] == "/orders/0190-order"
    assert body(api, "POST /v1/order-claims") == {"token": "tok-1"}


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        (403, "/problems/claim-needs-the-address", "the address that the receipt was sent to"),
        (409, "/problems/claim-link-used", "already belongs to an account"),
        (422, "/problems/claim-link-not-valid", "not valid any more"),
    ],
)
async def test_a_claim_that_is_refused_says_why(
    ada: Browser, api: FakeApi, status: int, kind: str, text: str
) -> None:
    api.refuse("POST /v1/order-claims", status, kind)
    await ada.get("/claim")
    page = await ada.post("/claim", token="tok-1")
    assert (page.status_code, text in page.text) == (status, True)


async def test_the_checkout_has_the_accounts_address(ada: Browser, api: FakeApi) -> None:
    api.answer("GET /v1/cart", CART)
    assert 'value="ada@example.com"' in (await ada.get("/checkout")).text
    api.refuse("GET /v1/users/me", 503)
    assert (await ada.get("/checkout")).status_code == 200


async def test_the_link_of_a_mail_finds_the_order_where_its_shopper_is_not_known(
    browser: Browser, api: FakeApi
) -> None:
    for _ in range(2):
        answer = await browser.get("/orders/K7Q2X-9XMDA")
        assert answer.headers["location"] == "/orders/find?number=K7Q2X-9XMDA"
        await log_in(browser)
    assert (await browser.get("/orders/0190-order")).status_code == 404
