"""`python -m standins.mailbox`: accepts and shows mails until SIGTERM."""

import asyncio
import gc
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette

from standins.mailbox import app
from standins.mailbox.settings import VARIABLES, Fault, Settings
from standins.mailbox.smtp import SmtpProtocol
from standins.mailbox.store import Store
from standins.running import Misconfigured, http_server, read_settings

log = logging.getLogger("uvicorn.error")


class Mailbox:
    """SMTP and HTTP on one store, in one event loop. Raises OSError or ValueError if it cannot be read."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = Store(settings.folder, settings.keep)
        self._faults: list[Fault] = []
        self._peers: set[asyncio.Transport] = set()
        self.smtp_port = settings.smtp_port

    def server(self) -> uvicorn.Server:
        """The HTTP server, not yet started; it opens the SMTP port with its own."""
        page = app.build(self._store, self._faults, self._live)
        return http_server(page, self._settings.host, self._settings.port)

    @asynccontextmanager
    async def _live(self, _: Starlette) -> AsyncIterator[None]:
        server = await asyncio.get_running_loop().create_server(
            self._connect, self._settings.host, self._settings.smtp_port
        )
        self.smtp_port = server.sockets[0].getsockname()[1]
        log.info("SMTP running on %s:%d", self._settings.host, self.smtp_port)
        yield
        server.close()
        for peer in tuple(self._peers):
            peer.close()
        self._store.close()

    def _connect(self) -> SmtpProtocol:
        return SmtpProtocol(self._settings, self._store.keep, self._faults, self._peers)


def main() -> None:
    try:
        mailbox = Mailbox(read_settings(Settings, VARIABLES))
    except (Misconfigured, OSError, ValueError) as problem:
        sys.exit(f"mailbox: {problem}")
    gc.freeze()
    mailbox.server().run()


if __name__ == "__main__":
    main()
