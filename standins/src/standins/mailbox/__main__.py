"""`python -m standins.mailbox`: takes mail and shows it until it is told to stop."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette

from standins.mailbox import app
from standins.mailbox.faults import Faults
from standins.mailbox.settings import Misconfigured, Settings, from_environment
from standins.mailbox.smtp import SmtpProtocol
from standins.mailbox.store import Store

log = logging.getLogger("uvicorn.error")
SHUTDOWN = 3


def build(settings: Settings) -> uvicorn.Server:
    """Reads what is kept and returns the server, not yet started. Raises OSError."""
    store, faults = Store(settings.folder, settings.keep), Faults()
    peers: set[asyncio.Transport] = set()

    @asynccontextmanager
    async def live(_: Starlette) -> AsyncIterator[None]:
        server = await asyncio.get_running_loop().create_server(
            lambda: SmtpProtocol(settings, store.keep, faults, peers), settings.host, settings.smtp_port
        )
        log.info("SMTP running on %s:%d", *server.sockets[0].getsockname()[:2])
        yield
        server.close()
        for peer in tuple(peers):
            peer.close()
        store.close()

    config = uvicorn.Config(
        app.build(store, faults, live),
        host=settings.host,
        port=settings.port,
        ws="none",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN,
    )
    return uvicorn.Server(config)


def main() -> None:
    try:
        server = build(from_environment())
    except (Misconfigured, OSError, ValueError) as problem:
        sys.exit(f"mailbox: {problem}")
    server.run()


if __name__ == "__main__":
    main()
