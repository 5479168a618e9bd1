"""The mailbox over HTTP: the page, the API that tests and the page read, and the faults."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from standins.mailbox.faults import KINDS, Fault, Faults
from standins.mailbox.message import html_of, summary_json, whole_json
from standins.mailbox.store import Kept, Store

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
    def __init__(self, store: Store, faults: Faults) -> None:
        self._store, self._faults = store, faults

    async def messages(self, request: Request) -> Response:
        if request.method == "DELETE":
            return _json({"deleted": self._store.clear()})
        query = request.query_params
        wanted = {header: query[name] for name, header in FILTERS.items() if name in query}
        found = [
            one for one in reversed(self._store.messages.values()) if _matches(one, wanted, query.get("to"))
        ]
        start = _number(query.get("start"), 0)
        shown = found[start : start + min(_number(query.get("limit"), 100), MOST_LISTED)]
        return _json({"total": len(found), "messages": [self._summary(one) for one in shown]})

    async def message(self, request: Request) -> Response:
        kept = self._find(request)
        return _json(whole_json(kept, self._copies(kept)))

    async def html(self, request: Request) -> Response:
        content = html_of(self._find(request))
        if content is None:
            raise HTTPException(404, "this message has no HTML")
        return Response(content, media_type="text/html", headers=CAGED)

    async def raw(self, request: Request) -> Response:
        return Response(self._find(request).read(), media_type="text/plain", headers=CALM)

    async def faults(self, request: Request) -> Response:
        if request.method == "POST":
            self._faults.planned.append(_fault(await request.body()))
        elif request.method == "DELETE":
            self._faults.planned.clear()
        return _json({"faults": [asdict(fault) for fault in self._faults.planned]})

    async def page(self, _: Request) -> Response:
        return FileResponse(PAGE / "index.html", headers=CALM)

    async def health(self, _: Request) -> Response:
        return _json({"status": "ok"})

    def _find(self, request: Request) -> Kept:
        kept = self._store.messages.get(request.path_params["number"])
        if kept is None:
            raise HTTPException(404, "no such message, or it is too old to be kept")
        return kept

    def _summary(self, kept: Kept) -> dict[str, Any]:
        return summary_json(kept, self._copies(kept))

    def _copies(self, kept: Kept) -> int:
        return self._store.copies[kept.headers.get("message-id", "")]


def build(
    store: Store, faults: Faults, live: Callable[[Starlette], AbstractAsyncContextManager[None]]
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


def _matches(kept: Kept, wanted: dict[str, str], to: str | None) -> bool:
    if to is not None and to not in kept.recipients:
        return False
    return all(kept.headers.get(header) == value for header, value in wanted.items())


def _number(given: str | None, default: int) -> int:
    if given is None:
        return default
    if not given.isdecimal():
        raise HTTPException(400, f"{given} is no number")
    return int(given)


def _fault(body: bytes) -> Fault:
    try:
        fault = Fault(**orjson.loads(body))
    except (TypeError, orjson.JSONDecodeError) as problem:
        raise HTTPException(
            400, f"send a JSON object with kind, count, recipient, seconds: {problem}"
        ) from problem
    if fault.kind not in KINDS:
        raise HTTPException(400, f"kind must be one of {', '.join(KINDS)}")
    if not isinstance(fault.count, int) or fault.count < 1 or not isinstance(fault.recipient, str):
        raise HTTPException(400, "count must be a positive number, recipient a text")
    if not isinstance(fault.seconds, int | float) or not 0 <= fault.seconds <= 3600:
        raise HTTPException(400, "seconds must be a number from 0 to 3600")
    return fault


def _json(content: object, status: int = 200, media: str = "application/json") -> Response:
    return Response(orjson.dumps(content), status, media_type=media, headers=CALM)


def _problem(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    content = {"type": "about:blank", "status": problem.status_code, "detail": problem.detail}
    return _json(content, problem.status_code, "application/problem+json")
