"""TLS beside HTTP: the same requests on a second port, with a certificate that a reload reads again."""

import asyncio
import socket
import ssl
from functools import partial
from pathlib import Path

import uvicorn

from standins.gateway.nginx import Protocol


class Tls:
    """Serves TLS 1.2 or newer and HTTP/1.1 on `port`, with a `certificate` and its `key` in PEM; intermediate
    certificates follow the server's own."""

    def __init__(self, port: int, certificate: Path, key: Path) -> None:
        """Raises OSError for files that cannot be read or do not fit."""
        self.port = port
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.set_alpn_protocols(["http/1.1"])
        self._files = (certificate, key)
        self.load()

    def load(self) -> None:
        """The files as they are now, for connections from now on. Raises OSError, likewise."""
        try:
            self.context.load_cert_chain(*self._files)
        except OSError as error:
            raise OSError(f"{' and '.join(map(str, self._files))}: {error.strerror or error}") from error


class TlsServer(uvicorn.Server):
    """Serves its application on `secure` as well, and stops both at once."""

    def __init__(self, config: uvicorn.Config, tls: Tls, secure: socket.socket) -> None:
        super().__init__(config)
        self._secure = secure
        self._context = tls.context

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        protocol = partial(
            Protocol,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        loop = asyncio.get_running_loop()
        self.servers.append(await loop.create_server(protocol, sock=self._secure, ssl=self._context))
