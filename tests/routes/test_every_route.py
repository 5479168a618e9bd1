"""What holds for every route of every service: nothing that is sent is ignored, and what can be read with GET
can be asked for with HEAD."""

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from chassis.http.routes import EVENT_STREAM
from tests.routes.services import SERVICES, app_of

EXAMPLES = {
    "sku": "A",
    "order": str(UUID(int=1)),
    "address_id": str(UUID(int=1)),
    "return_id": str(UUID(int=1)),
    "refund_id": str(UUID(int=1)),
}
ROUTES = 40  # of all services there are more


def routes(app: FastAPI) -> Iterator[tuple[str, str, Any]]:
    """Each method and path that the service has routes for, with example ids in the path."""
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, APIRoute):
            assert route.path is not None
            path = re.sub(r"\{(\w+)\}", lambda name: EXAMPLES[name[1]], route.path)
            for method in route.methods or ():
                yield method, path, route


def is_event_stream(route: Any) -> bool:
    return getattr(route.response_class, "media_type", None) == EVENT_STREAM


@pytest.fixture(params=SERVICES)
def app(request: pytest.FixtureRequest) -> FastAPI:
    return app_of(request.param)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://service") as client,
    ):
        yield client


def test_there_are_as_many_routes_as_these_tests_are_for() -> None:
    assert sum(len([*routes(app_of(name))]) for name in SERVICES) > ROUTES


async def test_an_unknown_query_parameter_is_refused_by_name(app: FastAPI, client: httpx.AsyncClient) -> None:
    for method, path, _ in routes(app):
        answer = await client.request(method, f"{path}?email=ada%40example.com&unheard_of=")
        assert (answer.status_code, method, path) == (422, method, path)
        assert [(error["in"], error["name"]) for error in answer.json()["errors"]] == [
            ("query", "email"),
            ("query", "unheard_of"),
        ]


async def test_a_body_that_would_be_ignored_is_refused(app: FastAPI, client: httpx.AsyncClient) -> None:
    documented = app.openapi()["paths"]
    for method, path, route in routes(app):
        if "requestBody" in documented.get(route.path, {}).get(method.lower(), {}):
            continue
        refused = await client.request(method, path, json={"lines": [{"sku": "A", "quantity": 1}]})
        assert (refused.status_code, method, path) == (422, method, path)
        assert refused.json()["errors"] == [{"pointer": "", "detail": "This request takes no body."}]


async def test_an_empty_object_is_no_body(app: FastAPI, client: httpx.AsyncClient) -> None:
    for method, path, _ in routes(app):
        if method == "GET":
            plain, with_object = await client.get(path), await client.request("GET", path, json={})
            assert (with_object.status_code, path) == (plain.status_code, path)


async def test_head_is_answered_as_get_without_the_content(app: FastAPI, client: httpx.AsyncClient) -> None:
    for method, path, route in routes(app):
        if method == "GET" and not is_event_stream(route):
            got, head = await client.get(path), await client.head(path)
            assert (head.status_code, path) == (got.status_code, path)
            assert head.headers == got.headers
            assert head.content == b""


async def test_an_event_stream_has_no_head() -> None:
    app = app_of("order")
    [path] = [path for _, path, route in routes(app) if is_event_stream(route)]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://order") as client:
        answer = await client.head(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
