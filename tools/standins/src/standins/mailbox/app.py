"""The mailbox over HTTP: the page, the API that tests and the page read, and the faults."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import orjson
from pydantic import TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from standins.mailbox.settings import Fault
from standins.mailbox.store import Store, StoredMail
from standins.running import in_one_line

PAGE = Path(__file__).parent / "page"
MOST_LISTED = 1000
FILTERS = {"message_id": "message-id", "order_id": "x-order-id", "reason": "x-reason"}
CALM = {
    "content-security-policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
# A mail may have styles and inline pictures, but no scripts and no network access.
CAGED = CALM | {
    "content-security-policy": (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
    )
}


class Pages:
    def __init__(self, store: Store, faults: list[Fault]) -> None:
        self._store, self._faults = store, faults

    async def messages(self, request: Request) -> Response:
        if request.method == "DELETE":
            return _json({"deleted": self._store.clear()})
        query = request.query_params
        wanted = {header: query[name] for name, header in FILTERS.items() if name in query}
        newest_first = reversed(self._store.messages.values())
        found = [mail for mail in newest_first if _matches(mail, wanted, query.get("to"))]
        start = _number(query.get("start"), 0)
        shown = found[start : start + min(_number(query.get("limit"), 100), MOST_LISTED)]
        return _json({"total": len(found), "messages": [mail.summary(self._copies(mail)) for mail in shown]})

    async def message(self, request: Request) -> Response:
        mail = self._find(request)
        return _json(mail.whole(self._copies(mail)))

    async def html(self, request: Request) -> Response:
        content = self._find(request).html()
        if content is None:
            raise HTTPException(404, "this message has no HTML")
        return Response(content, media_type="text/html", headers=CAGED)

    async def raw(self, request: Request) -> Response:
        return Response(self._find(request).read(), media_type="text/plain", headers=CALM)

    async def faults(self, request: Request) -> Response:
        if request.method == "POST":
            try:
                self._faults.append(TypeAdapter(Fault).validate_json(await request.body()))
            except ValidationError as error:
                raise HTTPException(400, f"not a fault: {in_one_line(error)}") from error
        elif request.method == "DELETE":
            self._faults.clear()
        return _json({"faults": self._faults})

    async def page(self, _: Request) -> Response:
        return FileResponse(PAGE / "index.html", headers=CALM)

    async def health(self, _: Request) -> Response:
        return _json({"status": "ok"})

    def _find(self, request: Request) -> StoredMail:
        mail = self._store.messages.get(request.path_params["number"])
        if mail is None:
            raise HTTPException(404, "no such message, or it is too old to be kept")
        return mail

    def _copies(self, mail: StoredMail) -> int:
        return self._store.copies[mail.headers.get("message-id", "")]


def build(
    store: Store, faults: list[Fault], live: Callable[[Starlette], AbstractAsyncContextManager[None]]
) -> Starlette:
    pages = Pages(store, faults)
    one = "/api/v1/messages/{number:int}"
    return Starlette(
        routes=[
            Route("/", pages.page),
            Route("/healthz", pages.health),
            Route("/api/v1/messages", pages.messages, methods=["GET", "DELETE"]),
            Route(one, pages.message),
            Route(f"{one}/html", pages.html),
            Route(f"{one}/raw", pages.raw),
            Route("/api/v1/message/{number:int}/raw", pages.raw),  # where Mailpit has it
            Route("/_mailbox/faults", pages.faults, methods=["GET", "POST", "DELETE"]),
            Mount("/page", StaticFiles(directory=PAGE)),
        ],
        exception_handlers={HTTPException: _problem},
        lifespan=live,
    )


def _matches(mail: StoredMail, wanted: dict[str, str], to: str | None) -> bool:
    if to is not None and to not in mail.recipients:
        return False
    return all(mail.headers.get(header) == value for header, value in wanted.items())


def _number(given: str | None, default: int) -> int:
    if given is None:
        return default
    if not given.isdecimal():
        raise HTTPException(400, f"{given} is no number")
    return int(given)


def _json(content: object, status: int = 200, media: str = "application/json") -> Response:
    return Response(orjson.dumps(content), status, media_type=media, headers=CALM)


def _problem(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    content = {"type": "about:blank", "status": problem.status_code, "detail": problem.detail}
    return _json(content, problem.status_code, "application/problem+json")
