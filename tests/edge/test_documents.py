"""The edge agrees with the services' OpenAPI documents on what is published and what requires a token.

Each published operation has one route, and no route leads to what nobody publishes.
"""

import importlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet
from joserfc.jwk import ECKey
from pydantic import SecretStr

from standins.gateway.config import read
from standins.gateway.plan import plan
from standins.gateway.plugins.jwt import Jwt
from standins.gateway.router import compile_path
from storefront.app import routes
from storefront.pages import Pages
from storefront.settings import Settings

SERVICES = ["auth", "product", "cart", "order", "payment"]
_FILE = read(Path(__file__).parents[2] / "deploy/kong/kong.yml")
_ROUTER = plan(_FILE).router
# Pages and files are not the API's; a document is not in itself.
_PAGES = {"docs", "pages", "forms", "sign-in", "files"}
_NOT_IN_A_DOCUMENT = (
    _PAGES | {"not-found"} | {f"{name}-openapi" for name in ("auth", "product", "cart", "order")}
)
_FILES = {
    (method, path)
    for method in ("GET", "HEAD")
    for path in ("/assets/shop.css", "/pictures/placeholder.svg", "/docs/assets/page.css")
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Enough to declare any service; nothing is connected to."""
    keys = tmp_path_factory.mktemp("keys") / "keys.json"
    key = ECKey.generate_key("P-256", {"kid": "k1", "alg": "ES256", "use": "sig"})
    keys.write_text(json.dumps({"keys": [key.as_dict(private=True)]}))
    return {
        "database_url": "postgresql+asyncpg://u:p@/d?host=/nowhere",
        "amqp_url": "amqp://u:p@127.0.0.1:1/",
        "jwks_url": "http://127.0.0.1:1/",
        "token_issuer": "https://shop.example",
        "token_audience": "shop",
        "signing_keys_file": keys,
        "contact_key": Fernet.generate_key().decode(),
        "action_key": Fernet.generate_key().decode(),
        "product_url": "http://127.0.0.1:1",
        "cart_url": "http://127.0.0.1:1",
        "stripe_api_key": "sk_test_x",
        "stripe_webhook_secret": "whsec_xxxxxxxx",
    }


@cache
def _operations(name: str, settings: frozenset[tuple[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    service = importlib.import_module(f"{name}.main").service
    known = {key: value for key, value in settings if key in service.settings.model_fields}
    document = service.app(service.settings(**known)).openapi()
    return {
        (method.upper(), path): operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if path not in ("/healthz", "/readyz", "/metrics")
    }


def _needs_a_token(operation: dict[str, Any]) -> bool:
    """A ticket may do in place of a token: of that the gateway knows nothing, the service sees to both."""
    ways = operation.get("security", [])
    return bool(ways) and {"ticket": []} not in ways


def _concrete(path: str) -> str:
    return path.replace("{", "").replace("}", "")


@pytest.mark.parametrize("name", SERVICES)
def test_the_edge_requires_a_token_where_the_openapi_document_does(
    name: str, settings: dict[str, Any]
) -> None:
    operations = _operations(name, frozenset(settings.items()))
    assert operations
    for (method, path), operation in operations.items():
        found = _ROUTER.find(method, _concrete(path))
        assert found, f"no route for {method} {path}"
        target, _ = found
        assert target.service.url.hostname == name
        guarded = any(isinstance(plugin, Jwt) for plugin in target.plugins)
        assert guarded == _needs_a_token(operation), f"{method} {path}"


def _taken(path: str, method: str) -> list[str]:
    """The names of the routes that would take the request, with the expression that does."""
    return [
        f"{route.name} {method} {expression}"
        for service in _FILE.services
        for route in service.routes
        if method in (route.methods or ())
        for expression in route.paths
        if route.name != "not-found" and compile_path(expression).fullmatch(path)
    ]


def test_each_operation_has_one_route_and_each_route_an_operation(settings: dict[str, Any]) -> None:
    known = frozenset(settings.items())
    operations = [operation for name in SERVICES for operation in _operations(name, known)]
    found = {(method, path): _taken(_concrete(path), method) for method, path in operations}
    assert [operation for operation, routes in found.items() if len(routes) != 1] == []
    leading = {route for routes in found.values() for route in routes}
    assert {
        f"{route.name} {method} {expression}"
        for service in _FILE.services
        for route in service.routes
        if route.name not in _NOT_IN_A_DOCUMENT
        for method in route.methods or ()
        if method not in ("HEAD", "OPTIONS")
        for expression in route.paths
    } == leading


def test_each_page_has_one_route_and_each_of_those_routes_a_page() -> None:
    settings = Settings(
        gateway_url="http://127.0.0.1:1",
        shop_origins="https://shop.example",
        session_key=SecretStr(Fernet.generate_key().decode()),
    )
    pages = routes(Pages(settings, httpx.AsyncClient()))
    asked = {(method, _concrete(one.path)) for one in pages for method in one.methods or ()} | _FILES
    found = {(method, path): _taken(path, method) for method, path in asked}
    assert {operation: taken for operation, taken in found.items() if len(taken) != 1} == {}
    leading = {route for taken in found.values() for route in taken}
    assert leading == {
        f"{route.name} {method} {expression}"
        for service in _FILE.services
        for route in service.routes
        if route.name in _PAGES
        for method in route.methods or ()
        for expression in route.paths
    }


def test_every_route_names_its_methods_and_answers_head_where_it_answers_get() -> None:
    """But for event streams, which would never end."""
    for service in _FILE.services:
        for route in service.routes:
            assert route.methods
            is_read = "GET" in route.methods and route.name != "order-events"
            assert ("HEAD" in route.methods) == is_read, route.name


# What can be in a log that has queries; deploy/kong/README.md says what each can give away.
_IN_QUERIES = {
    "product": {
        *("sku", "q", "sort", "limit", "cursor", "category", "price_min", "price_max", "in_stock", "status"),
    },
    "order": {
        *("status", "limit", "before", "id", "number", "sku", "placed_from", "placed_before"),
        *("shopper_id", "email_sha256"),
        "ticket",
    },
}


@pytest.mark.parametrize("name", SERVICES)
def test_no_query_holds_a_secret_but_a_ticket(name: str, settings: dict[str, Any]) -> None:
    operations = _operations(name, frozenset(settings.items()))
    taken = {
        parameter["name"]
        for operation in operations.values()
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "query"
    }
    by_ticket = {
        "ticket" for operation in operations.values() if {"ticket": []} in operation.get("security", [])
    }
    assert taken | by_ticket == _IN_QUERIES.get(name, set())
