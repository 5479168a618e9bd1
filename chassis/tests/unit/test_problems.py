"""The problem documents that clients get."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import asyncpg
import httpx
import pytest
import structlog
from fastapi import FastAPI, Form, Header, HTTPException, Query
from fastapi.responses import StreamingResponse
from sqlalchemy.exc import InterfaceError

from chassis.errors import TokenRejected, Unavailable
from chassis.http.middleware import LimitBody
from chassis.http.problems import (
    RESPONSES,
    Body,
    Conflict,
    Forbidden,
    NotFound,
    Problem,
    Unauthenticated,
    Unprocessable,
    install,
)


class Full(Conflict):
    type = "/problems/full"
    title = "No room left"


class Seat(Body):
    row: int
    name: str = ""


class Booking(Body):
    seats: list[Seat]


REFUSALS: dict[str, Exception] = {
    "full": Full("Room 7 has no seat left.", room=7),
    "not-found": NotFound(),
    "forbidden": Forbidden(),
    "unprocessable": Unprocessable("A room cannot hold itself."),
    "anonymous": Unauthenticated("Who is it?"),
    "stale-token": Unauthenticated("The token has expired.", error="invalid_token"),
    "down": Unavailable("rooms does not answer.", retry_after=2.6),
    "token-rejected": TokenRejected("The token is not accepted any more."),
    "teapot": Problem("Short and stout.", status=418, title="I'm a teapot", headers={"x-spout": "yes"}),
}


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    app.add_middleware(LimitBody, max_bytes=200)
    install(app)

    @app.get("/refuse/{name}", responses={404: RESPONSES[404]})
    async def refuse(name: str) -> None:
        raise REFUSALS[name]

    @app.post("/bookings")
    async def book(booking: Booking) -> Booking:
        return booking

    @app.get("/bookings")
    async def booked() -> list[Booking]:
        return []

    @app.post("/forms")
    async def form(name: Annotated[str, Form()]) -> str:
        return name

    @app.get("/search")
    async def search(limit: Annotated[int, Query(le=10)]) -> int:
        return limit

    @app.get("/signed")
    async def signed(signature: Annotated[str, Header(min_length=3)]) -> str:
        return signature

    @app.get("/crash")
    async def crash() -> None:
        raise RuntimeError("the password is hunter2")

    @app.get("/locked")
    async def locked() -> None:
        raise asyncpg.LockNotAvailableError("canceling statement due to lock timeout")

    @app.get("/database-away")
    async def database_away() -> None:
        raise InterfaceError("SELECT 1", {}, ConnectionError("refused"))

    @app.get("/old-fashioned")
    async def old_fashioned() -> None:
        raise HTTPException(410, "Gone since May", {"x-since": "May"})

    @app.get("/half")
    async def half() -> StreamingResponse:
        async def broken() -> AsyncIterator[bytes]:
            yield b"so far "
            raise RuntimeError("no further")

        return StreamingResponse(broken())

    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://rooms") as client:
        yield client


def problem(response: httpx.Response) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert document["status"] == response.status_code
    assert document["type"]
    assert document["title"]
    return dict(document)


async def test_a_named_problem_keeps_its_type_and_its_own_members(client: httpx.AsyncClient) -> None:
    response = await client.get("/refuse/full")
    assert response.status_code == 409
    assert problem(response) == {
        "type": "/problems/full",
        "title": "No room left",
        "status": 409,
        "detail": "Room 7 has no seat left.",
        "room": 7,
    }


@pytest.mark.parametrize(("name", "status"), [("not-found", 404), ("forbidden", 403), ("unprocessable", 422)])
async def test_common_problems_need_no_arguments(client: httpx.AsyncClient, name: str, status: int) -> None:
    response = await client.get(f"/refuse/{name}")
    assert problem(response)["status"] == status
    assert problem(response)["type"] == "about:blank"


async def test_a_problem_without_a_class_takes_all_members_as_arguments(client: httpx.AsyncClient) -> None:
    response = await client.get("/refuse/teapot")
    assert response.status_code == 418
    assert response.headers["x-spout"] == "yes"
    assert problem(response)["title"] == "I'm a teapot"


async def test_a_missing_token_is_challenged_without_an_error_code(client: httpx.AsyncClient) -> None:
    response = await client.get("/refuse/anonymous")
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"


async def test_a_bad_token_is_challenged_with_its_error_code(client: httpx.AsyncClient) -> None:
    for refused in ("stale-token", "token-rejected"):
        response = await client.get(f"/refuse/{refused}")
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_an_unavailable_service_becomes_a_503_with_retry_after(client: httpx.AsyncClient) -> None:
    response = await client.get("/refuse/down")
    assert response.status_code == 503
    assert response.headers["retry-after"] == "3"


async def test_an_invalid_body_is_pointed_at(client: httpx.AsyncClient) -> None:
    body = {"seats": [{"row": "front"}, {"row": 2, "colour/tone": "red"}]}
    response = await client.post("/bookings", json=body)
    assert response.status_code == 422
    assert problem(response)["title"] == "Unprocessable Content"
    assert [error["pointer"] for error in problem(response)["errors"]] == [
        "/seats/0/row",
        "/seats/1/colour~1tone",
    ]


async def test_what_was_sent_is_not_echoed(client: httpx.AsyncClient) -> None:
    response = await client.post("/bookings", json={"seats": [{"row": "hunter2"}]})
    assert "hunter2" not in response.text


async def test_a_missing_body_is_the_whole_documents_fault(client: httpx.AsyncClient) -> None:
    response = await client.post("/bookings")
    assert response.status_code == 422
    assert problem(response)["errors"] == [{"pointer": "", "detail": "Field required"}]


async def test_a_form_field_is_pointed_at_too(client: httpx.AsyncClient) -> None:
    response = await client.post("/forms", data={"nome": "x"})
    assert problem(response)["errors"][0]["pointer"] == "/name"


@pytest.mark.parametrize("body", [b'{"seats": [', b'{"seats": "\xff"}'])
async def test_a_body_that_is_no_json_is_a_bad_request(client: httpx.AsyncClient, body: bytes) -> None:
    response = await client.post("/bookings", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    problem(response)


async def test_an_invalid_parameter_is_named(client: httpx.AsyncClient) -> None:
    response = await client.get("/search?limit=11")
    assert response.status_code == 422
    [error] = problem(response)["errors"]
    assert (error["in"], error["name"]) == ("query", "limit")


async def test_a_missing_header_is_a_bad_request(client: httpx.AsyncClient) -> None:
    response = await client.get("/signed")
    assert response.status_code == 400
    assert problem(response)["errors"][0]["name"] == "signature"


@pytest.mark.parametrize("row", ["7", True, 7.5])
async def test_a_text_is_not_converted_to_a_number(client: httpx.AsyncClient, row: Any) -> None:
    response = await client.post("/bookings", json={"seats": [{"row": row}]})
    assert response.status_code == 422
    assert problem(response)["errors"][0]["pointer"] == "/seats/0/row"


async def test_no_such_route_is_a_problem(client: httpx.AsyncClient) -> None:
    response = await client.get("/nowhere")
    assert response.status_code == 404
    assert "detail" not in problem(response)


async def test_a_wrong_method_names_the_right_ones(client: httpx.AsyncClient) -> None:
    response = await client.delete("/bookings")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST"
    problem(response)


async def test_an_http_exception_keeps_its_detail_and_headers(client: httpx.AsyncClient) -> None:
    response = await client.get("/old-fashioned")
    assert response.status_code == 410
    assert response.headers["x-since"] == "May"
    assert problem(response)["detail"] == "Gone since May"


async def test_a_crash_is_logged_with_its_traceback_and_answered_without(client: httpx.AsyncClient) -> None:
    with structlog.testing.capture_logs() as logs:
        response = await client.get("/crash")
    assert response.status_code == 500
    problem(response)
    assert "hunter2" not in response.text
    [entry] = logs
    assert (entry["path"], entry["exc_info"]) == ("/crash", True)


@pytest.mark.parametrize("path", ["/database-away", "/locked"])
async def test_an_outage_of_the_database_becomes_a_503_with_retry_after(
    client: httpx.AsyncClient, path: str
) -> None:
    response = await client.get(path)
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    problem(response)


async def test_an_error_after_the_response_has_begun_closes_the_connection(client: httpx.AsyncClient) -> None:
    with pytest.raises(RuntimeError, match="no further"):
        await client.get("/half")


async def test_a_body_as_large_as_the_limit_passes(client: httpx.AsyncClient) -> None:
    body = b'{"seats":[]' + b" " * 188 + b"}"
    response = await client.post("/bookings", content=body, headers={"content-type": "application/json"})
    assert len(body) == 200
    assert response.status_code == 200


async def test_a_larger_body_is_refused_by_its_declared_length(client: httpx.AsyncClient) -> None:
    response = await client.post("/bookings", content=b" " * 201)
    assert response.status_code == 413
    assert problem(response)["title"] == "Content Too Large"


@pytest.mark.parametrize("path", ["/bookings", "/forms"])
async def test_a_chunked_body_is_refused_as_soon_as_it_is_too_large(
    client: httpx.AsyncClient, path: str
) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 50
            yield b"x" * 50

    response = await client.post(
        path, content=endless(), headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert response.status_code == 413
    assert sent <= 300
    assert problem(response)["title"] == "Content Too Large"


async def test_the_document_shows_problems_and_nothing_of_fastapis_own(app: FastAPI) -> None:
    document = app.openapi()
    assert app.openapi() == document
    booking = document["paths"]["/bookings"]["post"]["responses"]
    assert set(booking) == {"200", "400", "413", "422"}
    assert set(booking["422"]["content"]) == {"application/problem+json"}
    assert set(document["paths"]["/refuse/{name}"]["get"]["responses"]) == {"200", "404", "422"}
    assert "HTTPValidationError" not in str(document)
    assert {"Problem", "InvalidPart", "Booking"} <= set(document["components"]["schemas"])


async def test_the_document_says_that_an_unknown_field_is_refused(app: FastAPI) -> None:
    assert app.openapi()["components"]["schemas"]["Seat"]["additionalProperties"] is False
