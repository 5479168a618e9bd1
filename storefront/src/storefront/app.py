"""The application: its routes, its files, and what wraps them."""

import mimetypes
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from os import PathLike, stat_result
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from storefront import (
    account_pages,
    address_pages,
    cart_pages,
    catalogue_pages,
    checkout_pages,
    guest_order_pages,
    language_page,
    login_pages,
    not_found_page,
    order_pages,
    password_pages,
)
from storefront.pages import Pages
from storefront.protection import SecurityHeaders
from storefront.settings import Settings
from storefront.templates import ASSETS

_HERE = Path(__file__).parent
_DOCS = _HERE / "docs_page"
# Swagger UI needs the pictures inside its style sheet, and has no form.
_DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
mimetypes.add_type("application/speculationrules+json", ".speculationrules")
_FOR_A_DAY = "public, max-age=86400"
_FOR_EVER = "public, max-age=31536000, immutable"


def app(settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> ASGIApp:
    """The pages of the shop, and /docs with the API's documentation.

    `transport`: replaces the connection to the gateway.
    """
    http = httpx.AsyncClient(
        base_url=settings.gateway_url,
        timeout=settings.api_timeout,
        transport=transport or _to_the_gateway(settings),
        headers={"User-Agent": "storefront"},
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with http:
            yield

    pages = Pages(settings, http)
    starlette = Starlette(
        routes=[
            *routes(pages),
            *not_found_page.routes(pages),
            Route("/healthz", _healthz),
            Mount("/docs/assets", StaticFiles(directory=_DOCS, packages=[("fastapi_swagger", "resources")])),
            Mount("/assets", _Files(directory=ASSETS)),
            Mount("/pictures", _Files(directory=_HERE / "pictures")),
        ],
        middleware=[Middleware(GZipMiddleware, minimum_size=500, compresslevel=6)],
        exception_handlers={404: pages.not_found, 405: pages.not_found, Exception: pages.crashed},
        lifespan=lifespan,
    )
    starlette.router.redirect_slashes = False  # to the host that a client names
    return SecurityHeaders(starlette)  # outside, so that the page for a crash has the headers, too


def _to_the_gateway(settings: Settings) -> httpx.AsyncHTTPTransport:
    address = settings.call_from
    return httpx.AsyncHTTPTransport(local_address=None if address is None else str(address))


def routes(pages: Pages) -> list[Route]:
    """All that browsers ask for, but for files."""
    return [
        *catalogue_pages.routes(pages),
        *cart_pages.routes(pages),
        *address_pages.routes(pages),
        *checkout_pages.routes(pages),
        *guest_order_pages.routes(pages),  # before the orders: /orders/find is no order
        *order_pages.routes(pages),
        *login_pages.routes(pages),
        *password_pages.routes(pages),
        *account_pages.routes(pages),
        *language_page.routes(pages),
        Route("/docs", _docs),
    ]


async def _docs(_: Request) -> FileResponse:
    return FileResponse(_DOCS / "index.html", headers={"Content-Security-Policy": _DOCS_POLICY})


async def _healthz(_: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


class _Files(StaticFiles):
    """Files that browsers keep: for ever, if the URL has the content's hash."""

    def file_response(
        self,
        full_path: str | PathLike[str],
        stat_result: stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        is_hashed = scope["query_string"].startswith(b"v=")
        response.headers["Cache-Control"] = _FOR_EVER if is_hashed else _FOR_A_DAY
        return response
