"""The page, Swagger UI from the package that carries it, and the headers that keep both to this origin."""

from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PAGE = Path(__file__).with_name("page")
# Files of this origin and nothing else; Swagger UI needs no more than the pictures inside its style sheet.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def app() -> Starlette:
    """Serves the page at /docs and its files below /docs/assets."""
    assets = StaticFiles(directory=_PAGE, packages=[("fastapi_swagger", "resources")])
    return Starlette(
        routes=[
            Route("/", _page),
            Route("/docs", _page),
            Route("/healthz", _healthz),
            Mount("/docs/assets", assets),
        ],
        middleware=[Middleware(_SecurityHeaders), Middleware(GZipMiddleware)],
    )


async def _page(_: Request) -> FileResponse:
    return FileResponse(_PAGE / "index.html")


async def _healthz(_: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


class _SecurityHeaders:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._app(scope, receive, send_with_headers)
