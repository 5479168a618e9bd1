"""What a page, a form and a cookie refuse."""

import re

import httpx
import pytest
from cryptography.fernet import Fernet
from pydantic import ValidationError

from storefront.app import app
from storefront.settings import Settings

from ..conftest import ORIGIN, Browser, FakeApi


@pytest.mark.parametrize("path", ["/", "/search", "/p/MUG-1", "/nowhere", "/assets/shop.css", "/docs"])
async def test_every_response_keeps_to_its_origin(browser: Browser, path: str) -> None:
    headers = (await browser.get(path)).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] in ("same-origin", "no-referrer")


@pytest.mark.parametrize("path", ["/", "/search", "/p/MUG-1"])
async def test_a_page_loads_nothing_from_elsewhere_and_has_no_code_of_its_own(
    browser: Browser, path: str
) -> None:
    page = (await browser.get(path)).text
    for address in re.findall(r'<(?:script|img|link rel="stylesheet")[^>]*(?:src|href)="([^"]+)"', page):
        assert address.startswith(("/assets/", "/pictures/")), address
    assert not re.search(r"<script(?![^>]*(?:src=|application/ld\+json))", page)
    assert not re.search(r"<[^>]+\s(?:on\w+|style)=", page)


async def test_a_crash_is_a_page_of_ours_with_the_headers(browser: Browser, api: FakeApi) -> None:
    api.answer("GET /v1/products", {"no": "items"})
    page = await browser.get("/")
    assert page.status_code == 500
    assert "does not answer" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_a_form_without_the_secret_of_the_session_is_refused(browser: Browser, api: FakeApi) -> None:
    await browser.get("/p/MUG-1")
    for token in ("", "guessed", "salt.mac", "."):
        refused = await browser.post("/cart/add", csrf=token, sku="MUG-1", quantity="1", key="k")
        assert refused.status_code == 403
    assert not api.sent("POST /v1/guests")


async def test_a_form_of_another_session_is_refused(browser: Browser) -> None:
    await browser.get("/p/MUG-1")
    foreign = browser.csrf
    browser.http.cookies.clear()
    await browser.get("/p/MUG-1")
    refused = await browser.post("/language", csrf=foreign, language="en", here="/")
    assert refused.status_code == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1", ORIGIN + ".evil"])
async def test_a_form_of_another_site_is_refused(browser: Browser, origin: str) -> None:
    await browser.get("/")
    refused = await browser.post("/language", origin=origin, language="en", here="/")
    assert refused.status_code == 403


async def test_each_page_has_another_token_and_all_of_them_work(browser: Browser) -> None:
    await browser.get("/")
    first = browser.csrf
    await browser.get("/")
    assert browser.csrf != first
    for token in (first, browser.csrf):
        assert (await browser.post("/language", csrf=token, language="en", here="/")).status_code == 303


async def test_a_form_from_a_browser_that_sends_no_origin_needs_the_secret(browser: Browser) -> None:
    await browser.get("/")
    assert (await browser.post("/language", origin=None, language="en", here="/")).status_code == 303


@pytest.mark.parametrize(
    "place", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", ""]
)
async def test_a_form_leads_to_no_other_site(browser: Browser, place: str) -> None:
    await browser.get("/")
    answer = await browser.post("/language", language="en", here=place)
    assert answer.headers["location"] == "/"


async def test_a_line_break_gets_into_no_header(browser: Browser) -> None:
    await browser.get("/")
    answer = await browser.post("/language", language="en", here="/a\r\nSet-Cookie: evil=1")
    assert "evil" not in answer.cookies
    assert "\n" not in answer.headers["location"]


async def test_the_sessions_cookie_is_unreadable_to_scripts_and_unreadable(browser: Browser) -> None:
    response = await browser.get("/")
    cookie = response.headers["set-cookie"]
    assert cookie.startswith("session=")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie  # the first origin is http on localhost
    assert browser.csrf not in cookie


async def test_over_tls_the_cookie_is_secure_and_of_this_host_alone(api: FakeApi, settings: Settings) -> None:
    secure = settings.model_copy(update={"shop_origins": "https://shop.example"})
    transport = httpx.ASGITransport(app(secure, httpx.MockTransport(api.handle)))
    async with httpx.AsyncClient(transport=transport, base_url="https://shop.example") as http:
        cookie = (await http.get("/")).headers["set-cookie"]
    assert cookie.startswith("__Host-session=")
    assert "Secure" in cookie
    assert "Path=/;" in cookie
    assert "Domain" not in cookie


@pytest.mark.parametrize("change", ["cut", "flip", "other key", "not ours"])
async def test_a_cookie_that_was_tampered_with_is_no_cookie(browser: Browser, change: str) -> None:
    await browser.get("/")
    token, cookie = browser.csrf, browser.http.cookies["session"]
    changed = {
        "cut": cookie[:-4],
        "flip": cookie[:40] + ("A" if cookie[40] != "A" else "B") + cookie[41:],
        "other key": Fernet(Fernet.generate_key()).encrypt(b'{"token": "stolen"}').decode(),
        "not ours": "%00",
    }[change]
    browser.http.cookies.clear()
    browser.http.cookies["session"] = changed
    page = await browser.get("/")
    assert page.status_code == 200
    assert (await browser.post("/language", csrf=token, language="en", here="/")).status_code == 403


@pytest.mark.parametrize(
    "wrong",
    [
        {"shop_origins": "http://shop.example"},
        {"shop_origins": "https://shop.example/path"},
        {"session_key": "short"},
        {"gateway_url": "kong:8000"},
    ],
)
def test_settings_that_are_unsafe_are_refused(settings: Settings, wrong: dict[str, str]) -> None:
    given = {
        "gateway_url": "http://kong:8000",
        "shop_origins": "https://shop.example",
        "session_key": settings.session_key.get_secret_value(),
    }
    with pytest.raises(ValidationError):
        Settings.model_validate({**given, **wrong})


async def test_a_path_that_the_gateway_does_not_know_is_a_page_for_people(browser: Browser) -> None:
    page = await browser.get("/not-found/nowhere/at-all", Accept="text/html,*/*;q=0.8", Accept_Language="de")
    assert page.status_code == 404
    assert "<title>Nicht gefunden" in page.text
    assert 'name="here" value="/nowhere/at-all"' in page.text
    answer = await browser.post("/language", language="en", here=browser.value("here"))
    assert answer.headers["location"] == "/nowhere/at-all"


@pytest.mark.parametrize("accept", ["*/*", "application/json", ""])
async def test_a_path_that_the_gateway_does_not_know_is_a_problem_for_programs(
    browser: Browser, accept: str
) -> None:
    answer = await browser.get("/not-found/v1/prodcuts", Accept=accept)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {"type": "about:blank", "title": "Not Found", "status": 404}


@pytest.mark.parametrize("sent", ["\xf9", "nonsense \xe4, 203.0.113.7", "a b\x7f,203.0.113.7", "203.0.113.7"])
async def test_an_address_that_a_client_has_made_up_breaks_no_page(
    browser: Browser, api: FakeApi, sent: str
) -> None:
    headers = {b"X-Forwarded-For": sent.encode("latin-1")}
    assert (await browser.http.get("/p/MUG-1", headers=headers)).status_code == 200
    given = api.requests[-1].headers.get("x-forwarded-for", "")
    assert given == ("203.0.113.7" if "203" in sent else "")


async def test_no_response_leads_to_the_host_that_a_client_names(browser: Browser) -> None:
    for path in ("/orders/", "/cart/", "/search/", "/docs/"):
        answer = await browser.get(path, Host="evil.example")
        assert answer.status_code == 404
        assert "evil" not in f"{answer.headers}{answer.text}"


async def test_a_session_outlives_a_change_of_the_key_and_ends_with_its_own(
    browser: Browser, api: FakeApi, settings: Settings
) -> None:
    await browser.get("/")
    session = browser.http.cookies["session"]
    old, new = settings.session_key.get_secret_value(), Fernet.generate_key().decode()

    async def status(keys: str) -> int:
        """Of a form that the old session's page had."""
        changed = Settings.model_validate({**settings.model_dump(), "session_key": keys})
        transport = httpx.ASGITransport(app(changed, httpx.MockTransport(api.handle)))
        cookies = {"session": session}
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, cookies=cookies) as http:
            fields = {"csrf": browser.csrf, "language": "en", "here": "/"}
            return (await http.post("/language", data=fields, headers={"Origin": ORIGIN})).status_code

    assert await status(f"{new},{old}") == 303
    assert await status(new) == 403
