"""Which callers are accepted, and the responses to the others."""

from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

import httpx
import pytest
from fastapi import Depends, FastAPI
from structlog.testing import capture_logs

from chassis.http.identity import Caller, Principal, require
from chassis.http.problems import install
from chassis.http.provided import Registry

from .conftest import ADA, Issuer


@pytest.fixture
async def client(issuer: Issuer) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.state.registry = Registry([issuer.verifier()])
    install(app)

    @app.get("/me")
    async def me(caller: Caller) -> UUID:
        return caller.id

    @app.get("/keys")
    async def keys(_: Annotated[Principal, Depends(require("keys:read"))]) -> str:
        return "here"

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://rooms") as client:
        yield client


def bearing(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_a_request_is_authenticated_by_its_token(client: httpx.AsyncClient, issuer: Issuer) -> None:
    response = await client.get("/me", headers=bearing(issuer.token()))
    assert response.json() == str(ADA)


@pytest.mark.parametrize("headers", [{}, {"authorization": "Basic YTpi"}, {"authorization": "Bearer"}])
async def test_a_request_without_a_token_is_challenged(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    response = await client.get("/me", headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"


async def test_headers_that_name_the_caller_are_ignored(client: httpx.AsyncClient) -> None:
    response = await client.get("/me", headers={"x-consumer-custom-id": str(ADA), "x-userinfo": "e30="})
    assert response.status_code == 401


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"scope": "keys:read"}, 200),
        ({"scope": "rooms:read keys:read"}, 200),
        ({"scope": "keys:reader"}, 403),
        ({"scope": "keys"}, 403),
        ({"role": "admin"}, 403),
        ({}, 403),
    ],
)
async def test_a_route_can_ask_for_a_scope(
    client: httpx.AsyncClient, issuer: Issuer, claims: dict[str, Any], status: int
) -> None:
    response = await client.get("/keys", headers=bearing(issuer.token(**claims)))
    assert response.status_code == status


async def test_a_missing_scope_is_named(client: httpx.AsyncClient, issuer: Issuer) -> None:
    with capture_logs() as logs:
        response = await client.get("/keys", headers=bearing(issuer.token()))
    challenge = 'Bearer error="insufficient_scope", scope="keys:read"'
    assert response.headers["www-authenticate"] == challenge
    assert response.json()["type"] == "/problems/insufficient-scope"
    [logged] = [line for line in logs if line["event"] == "scope refused"]
    assert (logged["account"], logged["needed"]) == (str(ADA), "keys:read")


async def test_the_document_offers_a_password_and_a_token(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    schemes = document["components"]["securitySchemes"]
    assert schemes["password"]["flows"]["password"]["tokenUrl"] == "/v1/token"
    assert schemes["bearer"]["scheme"] == "bearer"
    assert document["paths"]["/me"]["get"]["security"] == [{"password": []}, {"bearer": []}]
    assert {"401", "403", "503"} <= set(document["paths"]["/me"]["get"]["responses"])
