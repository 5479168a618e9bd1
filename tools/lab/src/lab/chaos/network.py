"""Proxies between the shop's programs and what they connect to, which can cut, stall and refuse."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from devstack import Stack
from devstack.stack import HOST
from shop.targets import SERVICES

CONNECT_SECONDS = 5
CHUNK = 65536
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST instead of FIN
_SOCKET = ".s.PGSQL.5432"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Streams]]


class Proxy:
    """Forwards bytes both ways. It may have several listeners, each to a server of its own."""

    def __init__(self) -> None:
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._refusing = False
        self._connections: set[asyncio.StreamWriter] = set()
        self._forwarding: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []

    async def listen(self, connect: Connect) -> int:
        """Listen on a free port of this machine. Returns it."""
        server = await asyncio.start_server(self._accepting(connect), HOST, 0)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def listen_at(self, path: Path, connect: Connect) -> None:
        """Listen on a Unix socket; its folder has to exist."""
        self._servers.append(await asyncio.start_unix_server(self._accepting(connect), path))

    def cut(self) -> None:
        """Reset every open connection; new ones are accepted."""
        for writer in self._connections:
            _reset(writer)

    def stall(self) -> None:
        """Hold all bytes from now on, in both directions; new connections get no answer."""
        self._flowing.clear()

    def refuse(self) -> None:
        """Reset every open connection, and from now on every new one."""
        self._refusing = True
        self.cut()

    def restore(self) -> None:
        """Forward again, also the bytes that were held."""
        self._refusing = False
        self._flowing.set()

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        self.restore()
        self.cut()
        if self._forwarding:
            await asyncio.wait(self._forwarding, timeout=CONNECT_SECONDS)

    def _accepting(self, connect: Connect) -> Callable[..., Awaitable[None]]:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if self._refusing:
                _reset(writer)
                return
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    upstream = await connect()
            except (OSError, TimeoutError):
                _reset(writer)
                return
            await self._forward_both((reader, writer), upstream)

        return accept

    async def _forward_both(self, client: Streams, upstream: Streams) -> None:
        writers = {client[1], upstream[1]}
        self._connections |= writers
        directions = [
            asyncio.create_task(self._forward(client[0], upstream[1])),
            asyncio.create_task(self._forward(upstream[0], client[1])),
        ]
        self._forwarding.update(directions)
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._forwarding.difference_update(directions)
            self._connections -= writers
            for direction in directions:
                direction.cancel()
            for writer in writers:
                writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):  # when one end breaks, the other is closed
            while data := await reader.read(CHUNK):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket | None = writer.get_extra_info("socket")
    if connection is not None and connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


Proxies = Mapping[tuple[str, str], Proxy]  # by client and server: "broker", "database" or "provider"


@asynccontextmanager
async def proxied(stack: Stack) -> AsyncIterator[tuple[Stack, Proxies]]:
    """The stack with settings that lead every service through its proxies, and the proxies."""
    proxies: dict[tuple[str, str], Proxy] = {}
    settings = {name: dict(stack.settings.get(name, {})) for name in (*stack.settings, *SERVICES)}
    for service in SERVICES:
        broker = proxies[service, "broker"] = Proxy()
        ports = [
            await broker.listen(partial(asyncio.open_connection, HOST, port)) for port in stack.amqp_ports
        ]
        settings[service] |= stack.amqp_login(service, ports)
        # The service finds its proxy's socket in a folder of its own, in place of the server's.
        folder = stack.sockets / service
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        database = proxies[service, "database"] = Proxy()
        server = stack.sockets / "postgres" / _SOCKET
        await database.listen_at(folder / _SOCKET, partial(asyncio.open_unix_connection, server))
        settings[service] |= stack.database_login(service, sockets=folder)
    provider = proxies["payment", "provider"] = Proxy()
    port = await provider.listen(partial(asyncio.open_connection, HOST, stack.ports["sandbox"]))
    settings["payment"]["STRIPE_API_BASE"] = f"http://{HOST}:{port}"
    try:
        yield replace(stack, settings=settings), proxies
    finally:
        for proxy in proxies.values():
            await proxy.close()
