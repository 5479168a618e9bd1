"""Logging in, registering and logging out; and how a session stays alive."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from cryptography.fernet import Fernet

from storefront.app import app
from storefront.settings import Settings

from ..conftest import ORIGIN, Browser, FakeApi

ADA = {"email": "ada@example.com", "password": " correct horse "}
TOKENS = {"access_token": "access-1", "token_type": "Bearer", "expires_in": 900, "refresh_token": "refresh-1"}
ME = {
    "id": "0190",
    "email": "ada@example.com",
    "role": "shopper",
    "registered_at": "2026-11-01T09:00:00Z",
    "email_verified": False,
}


@pytest.fixture
def api(api: FakeApi) -> FakeApi:
    api.answer("POST /v1/token", TOKENS)
    api.answer("POST /v1/users", ME, 201)
    api.answer("POST /v1/logout", None, 204)
    api.answer("POST /v1/users/me/logout", None, 204)
    api.answer("GET /v1/users/me", ME)
    api.answer("GET /v1/cart/lines", {"items": []})
    api.answer("GET /v1/orders", {"items": [], "next": None})
    api.answer("POST /v1/cart/items", {"version": 1, "quantity": 2})
    return api


async def log_in(browser: Browser, following: str = "/account") -> httpx.Response:
    await browser.get(f"/login?next={following}")
    return await browser.post("/login", **ADA, next=following)


def form_of(request: httpx.Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(request.content.decode()).items()}


def bearer(request: httpx.Request) -> str:
    return str(request.headers.get("authorization", "")).removeprefix("Bearer ")


def renewed(number: int, expires_in: float = 900) -> dict[str, Any]:
    names = {"access_token": f"access-{number}", "refresh_token": f"refresh-{number}"}
    return {**TOKENS, **names, "expires_in": expires_in}


async def test_who_logs_in_is_back_where_she_was(browser: Browser, api: FakeApi) -> None:
    answer = await log_in(browser, "/search?q=mug")
    assert (answer.status_code, answer.headers["location"]) == (303, "/search?q=mug")
    [request] = api.sent("POST /v1/token")
    assert form_of(request) == {
        "grant_type": "password",
        "username": ADA["email"],
        "password": ADA["password"],  # with its spaces
    }
    page = await browser.get("/account")
    assert "ada@example.com" in page.text
    assert bearer(api.sent("GET /v1/users/me")[0]) == "access-1"


async def test_the_header_links_to_the_account_or_to_logging_in(browser: Browser) -> None:
    page = await browser.get("/search?q=mug")
    assert 'href="/login?next=/search%3Fq%3Dmug"' in page.text
    assert 'href="/account"' not in page.text
    await log_in(browser)
    page = await browser.get("/search?q=mug")
    assert 'href="/account"' in page.text
    assert 'href="/login' not in page.text


async def test_no_token_reaches_a_page_or_a_readable_cookie(browser: Browser) -> None:
    answer = await log_in(browser)
    page = await browser.get("/account")
    for token in ("access-1", "refresh-1"):
        assert token not in page.text
        assert token not in str(answer.headers)
    for cookie in answer.headers.get_list("set-cookie"):
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie


@pytest.mark.parametrize(
    "place",
    ["https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example", "evil", "javascript:1"],
)
async def test_logging_in_leads_to_no_other_site(browser: Browser, place: str) -> None:
    await browser.get("/login")
    for path in ("/login", "/register"):
        answer = await browser.post(path, **ADA, next=place)
        assert answer.headers["location"] == "/account"
        browser.http.cookies.clear()
        page = await browser.http.get(path, params={"next": place})
        browser.page = page.text
        assert browser.value("next") == "/account"


async def test_a_form_from_before_the_login_is_refused_after_it(browser: Browser) -> None:
    await browser.get("/login")
    planted = browser.csrf
    await browser.post("/login", **ADA)
    answer = await browser.post("/logout", csrf=planted)
    assert answer.status_code == 403


async def test_a_guests_token_goes_along_so_that_the_cart_does(browser: Browser, api: FakeApi) -> None:
    api.answer("GET /v1/cart/lines", {"items": [{"sku": "MUG-1", "quantity": 2}]})
    await browser.get("/p/MUG-1")
    await browser.post("/cart/add", sku="MUG-1", quantity="2", key="k")
    await log_in(browser)
    assert form_of(api.sent("POST /v1/token")[0])["guest_token"] == "guest-token"
    page = await browser.get("/")
    assert '<span class="count">2</span>' in page.text
    assert "comes along" not in page.text


async def test_a_cart_that_is_late_is_said_to_follow(browser: Browser, api: FakeApi) -> None:
    api.answer("GET /v1/cart/lines", {"items": [{"sku": "MUG-1", "quantity": 2}]})
    await browser.get("/p/MUG-1")
    await browser.post("/cart/add", sku="MUG-1", quantity="2", key="k")
    api.answer("GET /v1/cart/lines", {"items": []})
    await log_in(browser)
    page = await browser.get("/account")
    assert "comes along in a moment" in page.text


async def test_who_is_logged_in_does_so_when_the_cart_does_not_answer(browser: Browser, api: FakeApi) -> None:
    api.refuse("GET /v1/cart/lines", 503)
    assert (await log_in(browser)).status_code == 303
    assert "ada@example.com" in (await browser.get("/account")).text


@pytest.mark.parametrize(
    ("status", "kind", "after", "text"),
    [
        (400, "/problems/invalid-grant", "", "The e-mail address or the password is wrong."),
        (400, "about:blank", "", "The e-mail address or the password is wrong."),
        (429, "/problems/too-many-attempts", "42", "Wait 42 seconds"),
        (429, "about:blank", "", "Wait a moment"),
        (503, "about:blank", "2", "Wait 2 seconds"),
        (500, "about:blank", "", "does not answer"),
    ],
)
async def test_a_login_that_is_refused_says_why_and_keeps_the_address(
    browser: Browser, api: FakeApi, status: int, kind: str, after: str, text: str
) -> None:
    headers = {"Retry_After": after} if after else {}
    api.answer("POST /v1/token", {"type": kind, "title": "No", "status": status}, status, **headers)
    page = await log_in(browser)
    assert page.status_code == (503 if status == 500 else status)
    assert text in page.text
    assert "autofocus" in page.text
    assert page.headers.get("retry-after", "") == after
    assert f'value="{ADA["email"]}"' in page.text
    assert ADA["password"].strip() not in page.text


async def test_what_is_missing_is_said_beside_the_fields_and_in_a_summary(
    browser: Browser, api: FakeApi
) -> None:
    await browser.get("/login")
    page = await browser.post("/login", email="ada", password="")
    assert page.status_code == 422
    assert not api.sent("POST /v1/token")
    for name in ("email", "password"):
        assert f'<a href="#{name}">' in page.text
        assert f'aria-describedby="{name}-why"' in page.text


async def test_who_registers_is_logged_in(browser: Browser, api: FakeApi) -> None:
    await browser.get("/register?next=/cart")
    answer = await browser.post("/register", **ADA, next=browser.value("next"))
    assert answer.headers["location"] == "/cart"
    assert json.loads(api.sent("POST /v1/users")[0].content) == ADA
    assert "confirm your address" in (await browser.get("/account")).text


async def test_a_registration_that_is_sent_twice_logs_in_twice(browser: Browser, api: FakeApi) -> None:
    api.refuse("POST /v1/users", 409, "/problems/email-taken")
    await browser.get("/register")
    assert (await browser.post("/register", **ADA)).status_code == 303


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        (409, "/problems/email-taken", "There is an account with this address"),
        (422, "/problems/password-is-address", "not your e-mail address"),
        (429, "/problems/too-many-attempts", "Too many attempts"),
        (503, "about:blank", "does not answer"),
    ],
)
async def test_a_registration_that_is_refused_says_what_to_do(
    browser: Browser, api: FakeApi, status: int, kind: str, text: str
) -> None:
    api.refuse("POST /v1/users", status, kind)
    api.refuse("POST /v1/token", 400, "/problems/invalid-grant")
    await browser.get("/register")
    page = await browser.post("/register", **ADA)
    assert (page.status_code, text in page.text) == (status, True)


async def test_a_short_password_is_refused_before_it_is_sent(browser: Browser, api: FakeApi) -> None:
    await browser.get("/register")
    page = await browser.post("/register", email=ADA["email"], password="1234567")
    assert page.status_code == 422
    assert "at least 8 characters" in page.text
    assert not api.sent("POST /v1/users")


async def test_who_logs_out_is_no_one_any_more(browser: Browser, api: FakeApi) -> None:
    await log_in(browser)
    await browser.get("/account")
    assert (await browser.post("/logout")).headers["location"] == "/"
    assert form_of(api.sent("POST /v1/logout")[0]) == {"refresh_token": "refresh-1"}
    assert "You are logged out." in (await browser.get("/")).text
    assert (await browser.get("/account")).headers["location"] == "/login?next=%2Faccount"


async def test_the_browser_forgets_even_if_auth_does_not_answer(browser: Browser, api: FakeApi) -> None:
    await log_in(browser)
    await browser.get("/account")
    api.is_down = True
    await browser.post("/logout")
    api.is_down = False
    assert (await browser.get("/account")).status_code == 303


async def test_logging_out_everywhere_ends_this_session_too(browser: Browser, api: FakeApi) -> None:
    await log_in(browser)
    await browser.get("/account")
    await browser.post("/logout/everywhere")
    assert len(api.sent("POST /v1/users/me/logout")) == 1
    assert "on all devices" in (await browser.get("/")).text
    assert (await browser.get("/account")).status_code == 303


@pytest.fixture
async def soon_over(browser: Browser, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Browser:
    """Who has logged in with an access token that is to be renewed by now."""
    await log_in(browser)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 890)
    api.answer("POST /v1/token/refresh", renewed(2))
    return browser


async def test_a_token_that_is_nearly_over_is_renewed_first(soon_over: Browser, api: FakeApi) -> None:
    await soon_over.get("/account")
    [request] = api.sent("POST /v1/token/refresh")
    assert form_of(request) == {"grant_type": "refresh_token", "refresh_token": "refresh-1"}
    assert bearer(api.sent("GET /v1/users/me")[0]) == "access-2"
    await soon_over.get("/account")
    assert len(api.sent("POST /v1/token/refresh")) == 1
    assert bearer(api.sent("GET /v1/users/me")[1]) == "access-2"


async def test_a_page_of_the_catalogue_renews_nothing(soon_over: Browser, api: FakeApi) -> None:
    await soon_over.get("/")
    assert not api.sent("POST /v1/token/refresh")
    assert 'href="/account"' in soon_over.page


async def test_while_auth_does_not_answer_nobody_is_logged_out(soon_over: Browser, api: FakeApi) -> None:
    for status in (503, 429, 500):
        api.refuse("POST /v1/token/refresh", status)
        assert (await soon_over.get("/account")).status_code == (429 if status == 429 else 503)
    assert (await soon_over.get("/")).status_code == 200
    api.answer("POST /v1/token/refresh", renewed(2))
    assert "ada@example.com" in (await soon_over.get("/account")).text


async def test_a_renewal_that_is_refused_asks_to_log_in_and_leads_back(
    soon_over: Browser, api: FakeApi
) -> None:
    api.refuse("POST /v1/token/refresh", 400, "/problems/invalid-grant")
    answer = await soon_over.get("/orders?before=0190")
    assert answer.headers["location"] == "/login?next=%2Forders%3Fbefore%3D0190"
    page = await soon_over.get(answer.headers["location"])
    assert "Log in to go on where you were." in page.text
    assert soon_over.value("next") == "/orders?before=0190"


async def test_a_form_whose_session_is_over_leads_back_to_its_page(soon_over: Browser, api: FakeApi) -> None:
    api.refuse("POST /v1/token/refresh", 400, "/problems/invalid-grant")
    await soon_over.get("/p/MUG-1")
    soon_over.http.headers["Referer"] = f"{ORIGIN}/p/MUG-1"
    answer = await soon_over.post("/cart/add", sku="MUG-1", quantity="1", key="k")
    assert answer.headers["location"] == "/login?next=%2Fp%2FMUG-1"


@pytest.mark.parametrize("referer", ["http://[", "https://evil.example//evil.example/x", ""])
async def test_a_strange_referrer_leads_nowhere_else(soon_over: Browser, api: FakeApi, referer: str) -> None:
    api.refuse("POST /v1/token/refresh", 400, "/problems/invalid-grant")
    await soon_over.get("/p/MUG-1")
    soon_over.http.headers["Referer"] = referer
    answer = await soon_over.post("/cart/add", sku="MUG-1", quantity="1", key="k")
    page = await soon_over.get(answer.headers["location"])
    assert page.status_code == 200
    assert soon_over.value("next") in ("/", "/account")


async def test_a_token_that_is_refused_early_is_renewed_once(browser: Browser, api: FakeApi) -> None:
    await log_in(browser)
    api.answer("POST /v1/token/refresh", renewed(2))
    api.refuse("GET /v1/users/me", 401)
    answer = await browser.get("/account")
    assert answer.headers["location"] == "/login?next=%2Faccount"
    assert [bearer(one) for one in api.sent("GET /v1/users/me")][1:] == ["access-2"]
    assert len(api.sent("POST /v1/token/refresh")) == 1


async def test_an_account_that_is_gone_logs_out(browser: Browser, api: FakeApi) -> None:
    await log_in(browser)
    api.refuse("GET /v1/users/me", 404)
    assert (await browser.get("/account")).headers["location"] == "/login?next=%2Faccount"
    assert 'href="/login' in (await browser.get("/")).text


class SlowAuth:
    """In front of the fake API: renews when it is let. Like auth, it takes a refresh token once, and within
    some seconds gives the next one again, unless `grace` is over."""

    def __init__(self, api: FakeApi) -> None:
        self._api = api
        self.may_answer = asyncio.Event()
        self.renewals = 0
        self.grace = True

    async def handle(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/v1/token/refresh":
            return self._api.handle(request)
        self.renewals += 1
        number = self.renewals
        await self.may_answer.wait()
        if number > 1 and not self.grace:
            self._api.refuse("POST /v1/token/refresh", 400, "/problems/invalid-grant")
        return self._api.handle(request)


@asynccontextmanager
async def tab(auth: SlowAuth, settings: Settings, like: Browser) -> AsyncIterator[httpx.AsyncClient]:
    """A browser at a copy of the storefront, with the cookies of another."""
    transport = httpx.ASGITransport(app(settings, httpx.MockTransport(auth.handle)))
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as http:
        http.cookies.update(like.http.cookies)
        yield http


def refresh_token_in(cookies: httpx.Cookies, settings: Settings) -> str:
    key = settings.session_key.get_secret_value()
    token: str = json.loads(Fernet(key).decrypt(cookies["session"]))["refresh_token"]
    return token


async def test_tabs_that_renew_at_once_renew_once(
    soon_over: Browser, api: FakeApi, settings: Settings
) -> None:
    auth = SlowAuth(api)
    auth.grace = False
    async with tab(auth, settings, soon_over) as http:
        waiting = [asyncio.create_task(http.get(path)) for path in ("/account", "/orders", "/account")]
        while not auth.renewals:
            await asyncio.sleep(0)
        auth.may_answer.set()
        assert [page.status_code for page in await asyncio.gather(*waiting)] == [200, 200, 200]
        assert auth.renewals == 1
        # An answer that was lost: the browser still has the old cookie.
        http.cookies.update(soon_over.http.cookies)
        assert (await http.get("/account")).status_code == 200
        assert auth.renewals == 1
        assert refresh_token_in(http.cookies, settings) == "refresh-2"


async def test_two_copies_of_the_storefront_that_renew_at_once_agree(
    soon_over: Browser, api: FakeApi, settings: Settings
) -> None:
    auth = SlowAuth(api)
    async with tab(auth, settings, soon_over) as one, tab(auth, settings, soon_over) as other:
        waiting = [asyncio.create_task(http.get("/account")) for http in (one, other)]
        while auth.renewals < 2:
            await asyncio.sleep(0)
        auth.may_answer.set()
        assert [page.status_code for page in await asyncio.gather(*waiting)] == [200, 200]
        assert {refresh_token_in(http.cookies, settings) for http in (one, other)} == {"refresh-2"}


async def test_a_slow_request_does_not_bring_an_old_token_back(browser: Browser, settings: Settings) -> None:
    """It began before another tab renewed the token, and writes what its page remembers after that."""
    await log_in(browser)
    await browser.get("/p/MUG-1")
    answer = await browser.post("/cart/add", sku="MUG-1", quantity="1", key="k")
    assert [cookie.partition("=")[0] for cookie in answer.headers.get_list("set-cookie")] == ["memory"]


async def test_the_cookies_of_an_account_are_small(browser: Browser, api: FakeApi) -> None:
    """Browsers take 4,096 bytes a cookie. The longest access token has an address of 254 characters."""
    api.answer("POST /v1/token", {**TOKENS, "access_token": "a" * 1300, "refresh_token": "r" * 64})
    answer = await log_in(browser)
    for cookie in answer.headers.get_list("set-cookie"):
        assert len(cookie) < 4096


@pytest.mark.parametrize("change", ["memory as session", "session as memory", "other key"])
async def test_a_session_is_made_of_its_own_cookies_alone(browser: Browser, change: str) -> None:
    await log_in(browser)
    await browser.get("/p/MUG-1")
    await browser.post("/cart/add", sku="MUG-1", quantity="1", key="k")
    cookies = dict(browser.http.cookies)
    browser.http.cookies.clear()
    forged = Fernet(Fernet.generate_key()).encrypt(b'{"refresh_token": "stolen"}').decode()
    match change:
        case "memory as session":
            browser.http.cookies.update({"session": cookies["memory"]})
        case "session as memory":
            browser.http.cookies.update({"memory": cookies["session"]})
        case _:
            browser.http.cookies.update({"session": forged, "memory": forged})
    page = await browser.get("/account")
    assert page.headers["location"] == "/login?next=%2Faccount"


async def test_a_browser_whose_cookie_cannot_be_read_can_send_forms_again(browser: Browser) -> None:
    browser.http.cookies["session"] = Fernet(Fernet.generate_key()).encrypt(b"{}").decode()
    await browser.get("/")
    assert (await browser.post("/language", language="en", here="/")).status_code == 303


async def test_a_guest_whose_token_is_over_can_send_forms_again(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    await browser.get("/p/MUG-1")
    await browser.post("/cart/add", sku="MUG-1", quantity="1", key="k")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 86_401)
    await browser.get("/p/MUG-1")
    assert (await browser.post("/cart/add", sku="MUG-1", quantity="1", key="l")).status_code == 303
