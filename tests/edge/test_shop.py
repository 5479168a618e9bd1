"""What the shop's own kong.yml lets through to whom, and that it lets nothing else through."""

import json
import re
from base64 import b64encode
from hashlib import sha256

import pytest

from tests.edge.asking import ask
from tests.edge.test_behaviour import within_one_minute

OPEN = [
    ("POST", "/v1/users", "auth"),
    ("POST", "/v1/token", "auth"),
    ("POST", "/v1/token/refresh", "auth"),
    ("POST", "/v1/logout", "auth"),
    ("POST", "/v1/guests", "auth"),
    ("POST", "/v1/password-resets", "auth"),
    ("POST", "/v1/password-resets/complete", "auth"),
    ("POST", "/v1/email-confirmations", "auth"),
    ("GET", "/.well-known/jwks.json", "auth"),
    ("GET", "/v1/products", "product"),
    ("GET", "/v1/products?sku=a&sku=b&q=mug", "product"),
    ("GET", "/v1/products/85123A", "product"),
    ("GET", "/v1/products/facets?q=mug&category=kitchen", "product"),
    ("GET", "/v1/products/suggestions?q=mu", "product"),
    ("GET", "/v1/categories", "product"),
    ("GET", "/v1/orders/0190/events?ticket=x", "order"),
    ("POST", "/v1/order-lookups", "order"),
    ("POST", "/v1/webhooks/stripe", "payment"),
    ("GET", "/docs", "storefront"),
    ("GET", "/docs/assets/swagger-ui.css", "storefront"),
    ("GET", "/", "storefront"),
    ("GET", "/search?q=mug", "storefront"),
    ("GET", "/suggest?q=mu", "storefront"),
    ("GET", "/c/kitchen", "storefront"),
    ("GET", "/p/85123A", "storefront"),
    ("GET", "/cart", "storefront"),
    ("GET", "/checkout", "storefront"),
    ("POST", "/checkout", "storefront"),
    ("POST", "/cart/add", "storefront"),
    ("POST", "/cart/change", "storefront"),
    ("POST", "/cart/remove", "storefront"),
    ("POST", "/language", "storefront"),
    ("GET", "/orders", "storefront"),
    ("GET", "/orders/0190", "storefront"),
    ("POST", "/orders/0190/cancel", "storefront"),
    ("POST", "/orders/find", "storefront"),
    ("GET", "/login?next=%2Fcart", "storefront"),
    ("POST", "/login", "storefront"),
    ("GET", "/register", "storefront"),
    ("POST", "/register", "storefront"),
    ("POST", "/logout", "storefront"),
    ("POST", "/logout/everywhere", "storefront"),
    ("GET", "/account", "storefront"),
    ("GET", "/account/password", "storefront"),
    ("GET", "/account/addresses", "storefront"),
    ("GET", "/account/addresses/0190", "storefront"),
    ("POST", "/account/addresses/0190", "storefront"),
    ("POST", "/account/addresses/0190/remove", "storefront"),
    ("POST", "/account/password", "storefront"),
    ("POST", "/account/confirmation", "storefront"),
    ("GET", "/account/export", "storefront"),
    ("GET", "/account/deletion", "storefront"),
    ("POST", "/account/deletion", "storefront"),
    ("GET", "/reset", "storefront"),
    ("POST", "/reset", "storefront"),
    ("GET", "/reset/new", "storefront"),
    ("POST", "/reset/new", "storefront"),
    ("GET", "/confirm", "storefront"),
    ("POST", "/confirm", "storefront"),
    ("GET", "/claim", "storefront"),
    ("POST", "/claim", "storefront"),
    ("POST", "/orders/0190/returns", "storefront"),
    ("POST", "/orders/0190/withdraw", "storefront"),
    ("GET", "/assets/shop.css?v=1", "storefront"),
    ("GET", "/pictures/lantern.svg", "storefront"),
]
GUARDED = [
    ("GET", "/v1/users/me", "auth"),
    ("GET", "/v1/users/me/export", "auth"),
    ("GET", "/v1/users/me/addresses", "auth"),
    ("PUT", "/v1/users/me/addresses/0190", "auth"),
    ("DELETE", "/v1/users/me/addresses/0190", "auth"),
    ("POST", "/v1/users/me/deletion", "auth"),
    ("POST", "/v1/users/me/password", "auth"),
    ("POST", "/v1/users/me/logout", "auth"),
    ("POST", "/v1/users/me/confirmation", "auth"),
    ("POST", "/v1/products", "product"),
    ("PATCH", "/v1/products/85123A", "product"),
    ("DELETE", "/v1/products/85123A", "product"),
    ("POST", "/v1/products/bulk", "product"),
    ("GET", "/v1/products/85123A/stock", "product"),
    ("POST", "/v1/products/85123A/stock", "product"),
    ("GET", "/v1/cart", "cart"),
    ("PUT", "/v1/cart", "cart"),
    ("DELETE", "/v1/cart", "cart"),
    ("GET", "/v1/cart/lines", "cart"),
    ("POST", "/v1/cart/items", "cart"),
    ("PUT", "/v1/cart/items/85123A", "cart"),
    ("DELETE", "/v1/cart/items/85123A", "cart"),
    ("POST", "/v1/orders", "order"),
    ("GET", "/v1/orders?limit=5", "order"),
    ("GET", "/v1/orders/0190", "order"),
    ("POST", "/v1/orders/0190/cancel", "order"),
    ("POST", "/v1/order-claims", "order"),
    ("POST", "/v1/orders/0190/fulfil", "order"),
    ("POST", "/v1/orders/0190/refunds", "order"),
    ("POST", "/v1/orders/0190/refunds/0190/settle", "order"),
    ("GET", "/v1/orders/0190/audit", "order"),
    ("GET", "/v1/orders/0190/returns", "order"),
    ("POST", "/v1/orders/0190/returns", "order"),
    ("POST", "/v1/orders/0190/returns/0191/receive", "order"),
    ("POST", "/v1/orders/0190/returns/0191/reject", "order"),
    ("POST", "/v1/orders/0190/returns/0191/withdraw", "order"),
    ("GET", "/v1/orders/0190/timeline", "order"),
    ("POST", "/v1/orders/0190/events/ticket", "order"),
]
CLOSED = [
    ("POST", "/"),
    ("POST", "/orders/0190"),
    ("POST", "/healthz"),
    ("OPTIONS", "/nowhere"),
    ("POST", "/account"),
    ("POST", "/v1/products/85123A"),
    ("POST", "/v1/users/me"),
    ("DELETE", "/v1/users/me"),
    ("DELETE", "/v1/users/me/addresses"),
]
# The storefront gets the path of its own page for it, and behind that the one that was asked for.
NOT_FOUND = [
    "/nowhere",
    "/cart/add",
    "/assets/../healthz",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/docs/openapi/payment.json",
    "/docs/openapi/notification.json",
    "/docs/openapi/order.json/x",
    "/v1/orders/0190/events/x",
    "/v1/orders/0190/events/ticket",
    "/v1/productsx",
    "/v1/users/me/addresses/0190",
    "/v1/webhooks/stripe",
    "/docs/assets/../../v1/internal",
    "/status/ready",
    "/not-found",
    "/not-found/../healthz",
    "/x%2fhealthz",
    "/cartx",
    "/p/85123A/x",
]
IDENTITY = [
    "X-Consumer-ID",
    "X-Consumer-Custom-ID",
    "X-Consumer-Username",
    "X-Consumer-Groups",
    "X-Credential-Identifier",
    "X-Anonymous-Consumer",
    "X-Authenticated-Scope",
    "X-Authenticated-Userid",
]


@pytest.mark.parametrize(("method", "path", "service"), OPEN)
def test_an_open_endpoint_reaches_its_service_without_a_token(
    shop: str, method: str, path: str, service: str
) -> None:
    seen = ask(shop, {"method": method, "path": path})
    assert seen.status == 200
    assert seen.json()["service"] == service
    assert seen.json()["path"] == path


@pytest.mark.parametrize(("method", "path", "service"), GUARDED)
def test_every_other_endpoint_requires_a_token(shop: str, method: str, path: str, service: str) -> None:
    assert ask(shop, {"method": method, "path": path}).status == 401
    seen = ask(shop, {"method": method, "path": path, "token": {}})
    assert seen.status == 200
    assert (seen.json()["service"], seen.json()["path"]) == (service, path)


@pytest.mark.parametrize(("path", "status"), [("/v1/products", 200), ("/docs", 200), ("/v1/cart", 401)])
def test_head_is_let_through_where_get_is(shop: str, path: str, status: int) -> None:
    head, got = (ask(shop, {"method": method, "path": path}) for method in ("HEAD", "GET"))
    assert (head.status, got.status) == (status, status)


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_a_request_without_a_route_is_refused(shop: str, method: str, path: str) -> None:
    assert ask(shop, {"method": method, "path": path, "token": {}}).status == 404


@pytest.mark.parametrize("path", NOT_FOUND)
def test_a_path_that_no_route_takes_gets_the_page_for_it_and_nothing_else(shop: str, path: str) -> None:
    for method in ("GET", "HEAD"):
        reply = ask(shop, {"method": method, "path": path, "token": {}})
        assert reply.status == 200
        if method == "GET":
            assert reply.json()["service"] == "storefront"
            assert reply.json()["path"].startswith("/not-found/")


def test_an_event_stream_has_no_head(shop: str) -> None:
    assert ask(shop, {"path": "/v1/orders/0190/events"}).json()["service"] == "order"
    limit = ask(shop, {"method": "HEAD", "path": "/v1/orders/0190/events"}).headers["ratelimit-limit"]
    assert limit == ask(shop, {"method": "HEAD", "path": "/nowhere"}).headers["ratelimit-limit"]


@pytest.mark.parametrize("service", ["auth", "product", "cart", "order"])
def test_a_public_service_shows_its_openapi_document(shop: str, service: str) -> None:
    seen = ask(shop, {"path": f"/docs/openapi/{service}.json"}).json()
    assert (seen["service"], seen["path"]) == (service, "/openapi.json")


@pytest.mark.parametrize("path", sorted({path for _, path, _ in GUARDED}))
def test_a_preflight_request_of_another_origin_is_answered(shop: str, path: str) -> None:
    preflight = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "GET"}
    reply = ask(shop, {"method": "OPTIONS", "path": path, "headers": preflight})
    assert reply.status == 200
    assert reply.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert "Idempotency-Key" in reply.headers["access-control-allow-headers"]


def test_a_clients_identity_headers_reach_no_service(shop: str) -> None:
    claimed = dict.fromkeys(IDENTITY, "admin")
    for path in ("/v1/products", "/v1/cart"):
        seen = ask(shop, {"path": path, "headers": claimed, "token": {}}).json()
        assert "admin" not in json.dumps(seen["headers"])
        assert "authorization" in seen["headers"]


def test_a_header_is_accepted_up_to_a_limit(shop: str) -> None:
    def status(length: int) -> int:
        return ask(shop, {"path": "/v1/products", "headers": {"User-Agent": "x" * length}}).status

    assert status(4 * 1024) == 200
    assert status(9 * 1024) == 400


def test_every_answer_carries_the_security_headers(shop: str) -> None:
    for path in ("/v1/products", "/v1/cart", "/nowhere"):
        headers = ask(shop, {"path": path}).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert policy.endswith("; frame-ancestors 'none'")


def test_the_page_for_errors_may_use_its_own_style_and_loads_nothing(shop: str) -> None:
    sent = {"method": "POST", "path": "/nowhere", "headers": {"Accept": "text/html,*/*;q=0.8"}}
    reply = ask(shop, sent)
    page, policy = reply.body.decode(), reply.headers["content-security-policy"]
    style = re.search("<style>(.*?)</style>", page, re.DOTALL)
    assert style
    digest = b64encode(sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}';" in policy
    assert not re.search(r"<script|<link|<img|\ssrc=|\sstyle=|\son\w+=", page)
    assert 'lang="de"' in page


@pytest.mark.parametrize(
    ("method", "path", "fits"),
    [
        ("POST", "/v1/orders", 64 * 1024),
        ("PUT", "/v1/cart", 128 * 1024),
        ("POST", "/v1/products/bulk", 2 * 1024 * 1024),
        ("POST", "/v1/webhooks/stripe", 256 * 1024),
    ],
)
def test_a_body_passes_up_to_the_size_that_its_service_takes(
    shop: str, method: str, path: str, fits: int
) -> None:
    send = {"method": method, "path": path, "token": {}}
    assert ask(shop, send | {"body": fits}).status == 200
    assert ask(shop, send | {"body": fits + 1}).status == 413


def test_guessing_passwords_is_slower_than_shopping(shop: str) -> None:
    limits = {
        path: int(ask(shop, {"method": method, "path": path, "token": {}}).headers["ratelimit-limit"])
        for method, path in (
            ("POST", "/v1/token"),
            ("POST", "/v1/users"),
            ("POST", "/v1/orders"),
            ("GET", "/v1/cart"),
        )
    }
    assert limits["/v1/token"] < limits["/v1/orders"] < limits["/v1/cart"]
    assert limits["/v1/users"] < limits["/v1/orders"]
    assert limits["/v1/orders"] >= 1000


@pytest.mark.parametrize("path", ["/v1/users", "/v1/token", "/v1/guests"])
def test_bots_cannot_register_and_people_and_our_programs_can(shop: str, path: str) -> None:
    def status(agent: str) -> int:
        return ask(shop, {"method": "POST", "path": path, "headers": {"User-Agent": agent}}).status

    assert status("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)") == 403
    assert status("sqlmap/1.9") == 403
    for agent in (
        "python-httpx/0.28.1",
        "Python/3.13 aiohttp/3.14.0",
        "curl/8.14.1",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1",
    ):
        assert status(agent) == 200


def test_search_engines_and_the_provider_are_not_taken_for_bots(shop: str) -> None:
    robot = {"User-Agent": "Googlebot/2.1"}
    assert ask(shop, {"path": "/v1/products", "headers": robot}).status == 200
    assert ask(shop, {"method": "POST", "path": "/v1/webhooks/stripe", "headers": robot}).status == 200


def test_a_clients_trace_reaches_the_services_unchanged_while_tracing_is_off(shop: str) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    seen = ask(shop, {"path": "/v1/products", "headers": {"traceparent": trace}}).json()
    assert seen["headers"]["traceparent"] == trace


def test_each_limit_counts_on_its_own(shop: str) -> None:
    def left(path: str) -> int:
        return int(ask(shop, {"method": "POST", "path": path}).headers["ratelimit-remaining"])

    within_one_minute()
    before = left("/v1/token")
    assert left("/v1/users") - left("/v1/users") == 1
    assert left("/v1/token") == before - 1
