"""`python -m standins.warehouse`: ships and receives until SIGTERM."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from standins.running import Misconfigured, http_server, read_settings
from standins.warehouse.settings import VARIABLES, Settings
from standins.warehouse.work import Rules, Warehouse

log = logging.getLogger("uvicorn.error")


def server(settings: Settings) -> uvicorn.Server:
    """The HTTP server, which has a health check alone; the warehouse works while it runs. Raises OSError or
    ValueError if the catalogue cannot be read."""
    rules = Rules.of(settings)

    @asynccontextmanager
    async def live(_: Starlette) -> AsyncIterator[None]:
        timeout = aiohttp.ClientTimeout(total=settings.timeout)
        async with aiohttp.ClientSession(settings.gateway_url, timeout=timeout) as http:
            work = asyncio.create_task(Warehouse(settings, rules, http).run())
            work.add_done_callback(_ended)
            yield
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work

    app = Starlette(routes=[Route("/healthz", _health)], lifespan=live)
    return http_server(app, settings.host, settings.port)


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


def _ended(work: asyncio.Task[None]) -> None:
    """Only a fault of its own ends its work: then the process ends, too, and is started again."""
    if not work.cancelled():
        log.critical("warehouse: stopped", exc_info=work.exception())
        sys.exit(1)


def main() -> None:
    try:
        warehouse = server(read_settings(Settings, VARIABLES))
    except (Misconfigured, OSError, ValueError, KeyError) as problem:
        sys.exit(f"warehouse: {problem}")
    warehouse.run()


if __name__ == "__main__":
    main()
