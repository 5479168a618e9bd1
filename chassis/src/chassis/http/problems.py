"""Answers every HTTP error with an RFC 9457 problem document, so that clients have one format to parse."""

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.errors import TokenRejected, Unavailable
from chassis.http.openapi import RESPONSES as RESPONSES
from chassis.http.openapi import complete, phrase
from chassis.storage.raw_sql import is_out_of_time, is_outage

_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")

log = structlog.get_logger(__name__)


class Body(BaseModel):
    """The base of request bodies. Unknown fields are rejected, because they are typos, and values are not
    converted: neither `"5"` nor `true` is a number."""

    model_config = ConfigDict(extra="forbid", strict=True)


NO_NUL = r"^[^\x00]*$"
"""A pattern for texts without NUL, the only character that PostgreSQL cannot store."""


class Problem(Exception):
    """An error that becomes the HTTP response. Source: RFC 9457.

    A kind of problem is a class: `class Full(Conflict): type = "/problems/full"; title = "No room left"`.

    `detail`: explains this occurrence to the client.
    `status`, `title`, `type`: replace those of the class. The title is the status' name unless given.
    `headers`: of the response.
    `extensions`: further members of the document.
    """

    status: int = 500
    title: str | None = None
    type: str = "about:blank"

    def __init__(
        self,
        detail: str | None = None,
        *,
        status: int | None = None,
        title: str | None = None,
        type: str | None = None,  # noqa: A002 - the member's name in RFC 9457
        headers: Mapping[str, str] | None = None,
        **extensions: Any,
    ) -> None:
        self.detail = detail
        self.status = status or self.status
        self.title = title or self.title or phrase(self.status)
        self.type = type or self.type
        super().__init__(detail or self.title)
        self.headers = dict(headers or {})
        self.extensions = extensions

    def response(self) -> Response:
        """The response with the problem document."""
        given = {} if self.detail is None else {"detail": self.detail}
        document = {"type": self.type, "title": self.title, "status": self.status, **given, **self.extensions}
        content = orjson.dumps(document, default=str)
        return Response(content, self.status, self.headers, media_type="application/problem+json")


class NotFound(Problem):
    """404: it does not exist, or this caller may not see it."""

    status = 404


class Conflict(Problem):
    """409: the request conflicts with the current state."""

    status = 409


class Unprocessable(Problem):
    """422: the request is well-formed, but cannot be processed."""

    status = 422


class Unauthenticated(Problem):
    """401 with the challenge of RFC 6750. `error` is omitted when the request had no credentials."""

    status = 401

    def __init__(self, detail: str | None = None, *, error: str | None = None, **extensions: Any) -> None:
        challenge = "Bearer" if error is None else f'Bearer error="{error}"'
        super().__init__(detail, headers={"WWW-Authenticate": challenge}, **extensions)


class Forbidden(Problem):
    """403: the caller is authenticated, but not allowed to do this."""

    status = 403


class TooManyRequests(Problem):
    """429: try again after `retry_after` seconds."""

    status = 429

    def __init__(self, detail: str | None = None, *, retry_after: float = 1, **extensions: Any) -> None:
        super().__init__(detail, headers={"Retry-After": str(max(1, math.ceil(retry_after)))}, **extensions)


def install(app: FastAPI) -> None:
    """Answer every error of this application with a problem document, also in its OpenAPI document."""
    for error in (Problem, Unavailable, TokenRejected, RequestValidationError, HTTPException):
        app.add_exception_handler(error, _answer)
    app.add_middleware(_AnswerCrash)
    complete(app)


async def _answer(request: Request, error: Exception) -> Response:
    return _as_problem(request, error).response()


def _as_problem(request: Request, error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case Unavailable():
            return Problem(
                error.detail, status=503, headers={"Retry-After": str(max(1, round(error.retry_after)))}
            )
        case TokenRejected():
            return Unauthenticated(str(error), error="invalid_token")
        case RequestValidationError():
            return _invalid(error.errors())
    assert isinstance(error, HTTPException)
    is_default = error.detail == HTTPStatus(error.status_code).phrase
    headers = {"Allow": _methods(request)} if error.status_code == 405 else error.headers
    return Problem(None if is_default else str(error.detail), status=error.status_code, headers=headers)


def _methods(request: Request) -> str:
    """All that this path serves: the router names only those of the first route that it has tried."""
    routes: Sequence[BaseRoute] = request.app.routes
    scopes = ({**request.scope, "method": method} for method in _METHODS)
    return ", ".join(s["method"] for s in scopes if any(r.matches(s)[0] is Match.FULL for r in routes))


def _invalid(errors: Sequence[Mapping[str, Any]]) -> Problem:
    if errors[0]["type"] == "json_invalid":
        where = errors[0]["loc"][-1]
        return Problem(f"The body is not JSON: {errors[0]['ctx']['error']} at {where}.", status=400)
    status = 400 if any(one["loc"][0] == "header" for one in errors) else 422
    parts = [_invalid_part(one) for one in errors]
    return Problem("The request is not valid.", status=status, errors=parts)


def _invalid_part(error: Mapping[str, Any]) -> dict[str, str]:
    source, *path = error["loc"]
    detail = error["msg"]
    if source != "body":
        return {"in": source, "name": ".".join(map(str, path)), "detail": detail}
    pointer = "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return {"pointer": pointer, "detail": detail}


class _AnswerCrash:
    """Answers unexpected exceptions with 500, or with 503 during an outage of the database, and logs the
    traceback, of which the response contains nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception as error:
            if started:
                raise  # the response has begun: the server has to close the connection
            log.exception("request failed", method=scope["method"], path=scope["path"])
            is_temporary = is_outage(error) or is_out_of_time(error)
            retry = Unavailable("The database does not answer.")
            problem = _as_problem(Request(scope), retry) if is_temporary else Problem()
            await problem.response()(scope, receive, send)
