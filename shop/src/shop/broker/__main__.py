"""`python -m shop.broker` monitors the broker of SHOP_MANAGEMENT_URL until it is stopped."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import uvicorn
from pydantic import Field
from starlette.applications import Starlette

from chassis.runtime.settings import Environment, load
from chassis.telemetry.logs import configure_logging
from shop.broker.checking import check, declared
from shop.broker.monitor import Monitor, app
from shop.errors import ShopError
from shop.remote import RemoteTarget, remote_settings

CANNOT_START = 78
SHUTDOWN = 3

Seconds = Annotated[float, Field(gt=0)]


class Settings(Environment):
    """`definitions` is a file, if not the one beside us; `interval` and `recheck` are seconds between two
    checks, while all is well and while it is not."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    log_level: str = "info"
    definitions: Path | None = None
    interval: Seconds = 60
    recheck: Seconds = 5


def main() -> int:
    settings, target = load(Settings), RemoteTarget(remote_settings())
    configure_logging("monitor", settings.log_level)
    try:
        definitions = declared(target, settings.definitions)
        _ = target.management_url, target.operator_amqp_url
    except ShopError as error:
        sys.stderr.write(f"monitor: {error}\n")
        return CANNOT_START
    monitor = Monitor(
        lambda: check(target, definitions), interval=settings.interval, recheck=settings.recheck
    )
    web = app(monitor)

    @asynccontextmanager
    async def live(_: Starlette) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            checking = group.create_task(monitor.run())
            yield
            checking.cancel()

    web.router.lifespan_context = live
    uvicorn.run(
        web,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
