"""Declared parameters and bodies pass, however they are declared; a HEAD finds the route that a GET finds."""

from collections.abc import AsyncIterator
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Body, Depends, FastAPI, Query, Request, Security
from fastapi.openapi.models import APIKey, APIKeyIn
from fastapi.security.base import SecurityBase
from pydantic import BaseModel

from chassis.http.problems import NotFound, install
from chassis.http.routes import HeadRoute, refuse_ignored


class Filters(BaseModel):
    colour: str = ""
    size: list[int] = []


class Ticket(SecurityBase):
    scheme_name = "ticket"
    model = APIKey.model_validate({"in": APIKeyIn.query, "name": "ticket"})

    async def __call__(self, request: Request) -> str | None:
        return request.query_params.get("ticket")


async def page(number: Annotated[int, Query(alias="page")] = 1) -> int:
    return number


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI(dependencies=[Depends(refuse_ignored)])
    router = APIRouter(prefix="/rooms")
    install(app)

    @router.get("")
    async def rooms(filters: Annotated[Filters, Query()], number: Annotated[int, Depends(page)]) -> int:
        return number

    @router.get("/watched")
    async def watched(ticket: Annotated[str | None, Security(Ticket())]) -> str | None:
        return ticket

    @router.get("/{name}")
    async def room(name: str) -> str:
        if name == "none":
            raise NotFound("No such room.")
        return name

    @router.post("/{name}/book")
    async def book(name: str, nights: Annotated[int | None, Body(embed=True)] = None) -> int | None:
        return nights

    @router.post("/signed", openapi_extra={"requestBody": {"content": {"text/plain": {}}}})
    async def signed(request: Request) -> str:
        return (await request.body()).decode()

    app.include_router(router)
    app.router.routes.append(HeadRoute(app))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://rooms") as client:
        yield client


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/rooms?colour=red&size=1&size=2&page=3", 3),
        ("/rooms/watched?ticket=x", "x"),
        ("/rooms/blue", "blue"),
    ],
)
async def test_declared_parameters_pass(client: httpx.AsyncClient, path: str, found: object) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()) == (200, found)


@pytest.mark.parametrize("name", ["number", "Page", "filters", "ticket", "", "page ", "\u0000"])
async def test_other_parameters_are_named(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.get("/rooms", params={"page": 1, name: "x"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"in": "query", "name": name, "detail": "Unknown parameter."}]


async def test_declared_bodies_pass(client: httpx.AsyncClient) -> None:
    assert (await client.post("/rooms/blue/book", json={"nights": 2})).json() == 2
    assert (await client.post("/rooms/signed", content="read by hand")).json() == "read by hand"


@pytest.mark.parametrize("body", [b"", b" {} ", b"null"])
async def test_a_body_that_says_nothing_passes(client: httpx.AsyncClient, body: bytes) -> None:
    assert (await client.request("GET", "/rooms/blue", content=body)).status_code == 200


async def test_a_body_without_a_declared_length_is_seen_too(client: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"nights="
        yield b"2"

    assert (await client.request("GET", "/rooms/blue", content=chunks())).status_code == 422


@pytest.mark.parametrize(("path", "status"), [("/rooms/blue", 200), ("/rooms/none", 404), ("/nowhere", 404)])
async def test_head_has_the_status_and_the_headers_of_get(
    client: httpx.AsyncClient, path: str, status: int
) -> None:
    head, got = await client.head(path), await client.get(path)
    assert (head.status_code, head.headers, head.content) == (status, got.headers, b"")


async def test_what_cannot_be_read_has_no_head(client: httpx.AsyncClient) -> None:
    answer = await client.head("/rooms/blue/book")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_head_is_among_the_methods_that_a_path_allows(client: httpx.AsyncClient) -> None:
    assert (await client.delete("/rooms/blue")).headers["allow"] == "GET, HEAD"
