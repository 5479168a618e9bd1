"""Whatever is sent to a page, with whatever the API answers, there is a page: no crash, no header that a
client has made up, no way to another site.

Requests are ASGI's, as the server makes them of bytes: a browser would send fewer.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_from_bytes, unquote, urlencode

import httpx
import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from starlette.responses import Response
from starlette.types import ASGIApp, Message

from storefront import not_found_page
from storefront.app import app, routes
from storefront.pages import Pages
from storefront.session import Session, SessionCookies, Tokens
from storefront.settings import Settings

from ..conftest import MUG, ORIGIN, FakeApi
from .test_cart import CART
from .test_orders import CREATED, ORDER, PAID, STREAM

SETTINGS = Settings(
    gateway_url="http://gateway", shop_origins=ORIGIN, session_key=Fernet.generate_key().decode()
)
PAGES = Pages(SETTINGS, httpx.AsyncClient())
ROUTES = [
    ("GET" if "GET" in (route.methods or ()) else "POST", route.path)
    for route in (*routes(PAGES), *not_found_page.routes(PAGES))
]
# fmt: off
FIELDS = (
    "sku", "quantity", "key", "next", "here", "language", "email", "password", "new_password", "number",
    "token", "total", "currency", "lines", "card", "name", "street", "postcode", "city", "country", "price",
    "to", "was", "version", "phone", "vat_id", "reason", "id", "payment_method", "update",
)
QUERIES = (
    "q",
    "sort",
    "cursor",
    "price_min",
    "price_max",
    "in_stock",
    "before",
    "next",
    "category",
    "ticket",
)
PROBLEMS = (
    "total-changed", "cart-already-ordered", "cart-not-orderable", "idempotency-key-in-use", "not-for-sale",
    "too-many-pieces", "cart-full", "invalid-grant", "email-taken", "token-not-valid", "wrong-password",
    "claim-link-expired", "claim-needs-the-address", "already-confirmed", "place-again",
)
HOSTILE = (
    "\x00", "\r\nSet-Cookie: evil=1", "//evil.example", "/\\evil.example", "/\t/evil.example", "\ud800",
    "\ufeff", "https://evil.example", "javascript:alert(1)", "\u202e", "%00", "%0d%0a", "' OR 1=1 --", "#",
    "<script>alert", "{{ 7*7 }}", "999999999999999999999", "-1", "1e999", "NaN", "\u0663", "[]", "[[1,2]]",
    '[["a", 1e999]]', "{}", "null", "[" * 2000, "x" * 5000, "..", ".", "%2e%2e", "../v1/users/me", "?",
)
HEADERS = (
    b"host", b"origin", b"referer", b"cookie", b"accept", b"accept-language", b"accept-encoding",
    b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-path",
    b"if-none-match", b"if-modified-since", b"range", b"content-length", b"x-http-method-override",
)
VALUES = (b"session=x; memory=y", b"lang=de", b"lang=../..", b"de;q=x,*", b"text/html", b"bytes=0-1,5-,-3")
TYPES = (
    b"application/x-www-form-urlencoded", b"application/x-www-form-urlencoded; charset=utf-16", b"",
    b"multipart/form-data; boundary=x", b"multipart/form-data", b"application/json", b"text/plain",
)
STATUSES = (400, 401, 403, 404, 409, 410, 413, 415, 422, 426, 429, 500, 502, 503, 504)
# fmt: on
texts = st.one_of(
    st.sampled_from(HOSTILE), st.text(max_size=30), st.from_regex(r"[0-9]{1,30}", fullmatch=True)
)
octets = st.binary(max_size=40)


@dataclass
class Sent:
    """A request, as bytes. `form` has no token: that of the session is put in."""

    path: list[str]
    query: bytes
    headers: list[tuple[bytes, bytes]]
    form: list[tuple[str, str]]
    body: bytes | None
    kind: bytes
    has_token: bool = True


@dataclass
class Answers:
    """How the API is: as it should, refusing all with one status and type, or away."""

    status: int = 200
    problem: str = "about:blank"
    is_down: bool = False
    order: Mapping[str, Any] = field(default_factory=lambda: ORDER)


requests = st.builds(
    Sent,
    path=st.lists(texts, min_size=2, max_size=2),
    query=st.one_of(
        octets,
        st.lists(st.tuples(st.one_of(st.sampled_from(QUERIES), texts), texts), max_size=6).map(
            lambda pairs: urlencode(pairs, errors="replace").encode()
        ),
        st.just(b"&".join(b"a=%d" % number for number in range(3000))),
        st.just(b"q" + b"[a]" * 2000 + b"=1"),
    ),
    headers=st.lists(
        st.tuples(
            st.sampled_from(HEADERS),
            st.one_of(octets.map(lambda value: value.translate(None, b"\r\n\x00")), st.sampled_from(VALUES)),
        ),
        max_size=6,
    ),
    form=st.lists(st.tuples(st.one_of(st.sampled_from(FIELDS), texts), texts), max_size=12),
    body=st.one_of(st.none(), st.none(), octets),
    kind=st.sampled_from(TYPES),
    has_token=st.sampled_from((True, True, True, False)),
)
answers = st.one_of(
    st.just(Answers()),
    st.just(Answers(is_down=True)),
    st.builds(
        Answers, order=st.sampled_from([{**ORDER, "status": one} for one in ("pending", "paid", "cancelled")])
    ),
    st.builds(
        Answers,
        status=st.sampled_from(STATUSES),
        problem=st.sampled_from(["about:blank", *(f"/problems/{name}" for name in PROBLEMS)]),
    ),
)
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # a smaller example takes longer than reading a larger
shoppers = st.sampled_from(("nobody", "guest", "account"))


@dataclass
class Switch:
    """The API, as the request at hand finds it."""

    current: FakeApi = field(default_factory=FakeApi)

    def handle(self, request: httpx.Request) -> httpx.Response:
        return self.current.handle(request)


@pytest.fixture(scope="module")
def api() -> Switch:
    return Switch()


@pytest.fixture(scope="module")
def storefront(api: Switch) -> ASGIApp:
    return app(SETTINGS, httpx.MockTransport(api.handle))


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def fake(how: Answers) -> FakeApi:
    api = FakeApi(is_down=how.is_down)
    if how.status != 200:
        problem = {"type": how.problem, "status": how.status, "order_id": "0190"}
        kind = {"Content-Type": "application/problem+json"}
        api.override = lambda _: httpx.Response(how.status, json=problem, headers=kind)
        return api
    api.answer("GET /v1/products", {"items": [MUG], "next": None, "corrected": {}})
    api.answer("GET /v1/products/MUG-1", MUG)
    api.answer("GET /v1/categories", {"items": []})
    api.answer("GET /v1/cart", CART)
    api.answer("GET /v1/cart/lines", {"items": []})
    api.answer("GET /v1/orders", {"items": [how.order], "next": None})
    api.answer("GET /v1/orders/0190", how.order)
    api.answer("GET /v1/orders/0190/timeline", {"events": [CREATED, PAID]})
    api.answer("POST /v1/orders/0190/events/ticket", {"ticket": "t", "events": STREAM, "expires_in": 30})
    api.answer("POST /v1/guests", {"access_token": "t", "token_type": "Bearer", "expires_in": 900}, 201)
    return api


def cookies(shopper: str) -> tuple[Session, bytes]:
    """A session of somebody, and the browser's header of it."""
    session = Session()
    if shopper == "guest":
        session.begin("token", 900)
    if shopper == "account":
        session.log_in(Tokens("token", time.time() + 900, "refresh"))
    response = Response()
    SessionCookies(SETTINGS).write(response, session, {})
    pairs = [value.split(b";")[0] for name, value in response.raw_headers if name == b"set-cookie"]
    return session, b"; ".join(pairs)


def scope_of(method: str, route: str, sent: Sent, cookie: bytes) -> dict[str, Any]:
    """As uvicorn makes it of a request line and headers."""
    values = iter(sent.path)
    pieces = route.replace("{path:path}", "/{path}").split("/")
    raw = "/".join(
        quote_from_bytes(next(values).encode("utf-8", "replace"), safe="") if piece.startswith("{") else piece
        for piece in pieces
    )
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(raw),
        "raw_path": raw.encode(),
        "query_string": sent.query,
        "root_path": "",
        "headers": [(b"cookie", cookie), (b"content-type", sent.kind), *sent.headers],
        "client": ("127.0.0.1", 5),
        "server": ("127.0.0.1", 18000),
    }


async def answered(storefront: ASGIApp, scope: dict[str, Any], body: bytes) -> tuple[int, list[Any], bytes]:
    """Status, headers and body."""
    got: list[Message] = []
    request: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if not request:
            await asyncio.Event().wait()  # the client stays
        return request.pop()

    async def send(message: Message) -> None:
        got.append(message)

    await storefront(scope, receive, send)
    return got[0]["status"], got[0]["headers"], b"".join(one.get("body", b"") for one in got[1:])


@pytest.mark.parametrize(("method", "route"), ROUTES, ids=[f"{method} {path}" for method, path in ROUTES])
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
@given(sent=requests, how=answers, shopper=shoppers)
def test_there_is_a_page_for_any_request(
    method: str,
    route: str,
    sent: Sent,
    how: Answers,
    shopper: str,
    storefront: ASGIApp,
    api: Switch,
    loop: asyncio.Runner,
) -> None:
    session, cookie = cookies(shopper)
    token = [("csrf", session.form_token())] if sent.has_token else []
    body = sent.body if sent.body is not None else urlencode([*token, *sent.form], errors="replace").encode()
    api.current = fake(how)
    scope = scope_of(method, route, sent, cookie)
    asking = answered(storefront, scope, body if method == "POST" else b"")
    status, headers, page = loop.run(asking)
    assert status in (200, 206, 303, 304, 400, 401, 403, 404, 409, 410, 413, 415, 416, 422, 429, 503), status
    named: dict[bytes, bytes] = dict(headers)
    for name, value in headers:
        assert not {0, 10, 13} & {*name, *value}, (name, value)
    assert b"frame-ancestors 'none'" in named[b"content-security-policy"]
    assert named[b"x-content-type-options"] == b"nosniff"
    location = named.get(b"location", b"/").decode("latin-1")
    assert location.startswith("/"), location
    assert not location.startswith(("//", "/\\")), location
    assert "\t" not in location
    assert b"<script>alert" not in page
    if b"set-cookie" in named:
        assert b"public" not in named[b"cache-control"]
