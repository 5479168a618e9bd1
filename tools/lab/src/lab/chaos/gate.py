"""A way from one client to one server that can be cut, stalled and shut: the network between them."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

CONNECT_SECONDS = 5
CHUNK = 65536
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a reset, not a farewell

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Streams]]


def to_port(host: str, port: int) -> Connect:
    return lambda: asyncio.open_connection(host, port)


def to_socket(path: Path) -> Connect:
    return lambda: asyncio.open_unix_connection(path)


class Gate:
    """Passes bytes on both ways. It may have several listeners, each to a server of its own."""

    def __init__(self) -> None:
        self._flows = asyncio.Event()
        self._flows.set()
        self._shut = False
        self._links: set[asyncio.StreamWriter] = set()
        self._passing: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []

    async def listen(self, connect: Connect) -> int:
        """Returns the port."""
        server = await asyncio.start_server(self._accepting(connect), "127.0.0.1", 0)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def listen_at(self, path: Path, connect: Connect) -> None:
        """The socket's folder has to be there."""
        self._servers.append(await asyncio.start_unix_server(self._accepting(connect), path))

    def cut(self) -> None:
        """Reset every connection that is open."""
        for writer in self._links:
            _reset(writer)

    def stall(self) -> None:
        """From now on bytes are held, in both directions, and new connections get no answer."""
        self._flows.clear()

    def shut(self) -> None:
        """Reset what is open, and from now on whoever comes."""
        self._shut = True
        self.cut()

    def open(self) -> None:
        """As in the beginning; bytes that were held go on."""
        self._shut = False
        self._flows.set()

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        self.open()
        self.cut()
        if self._passing:
            await asyncio.wait(self._passing, timeout=CONNECT_SECONDS)

    def _accepting(self, connect: Connect) -> Callable[..., Awaitable[None]]:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if self._shut:
                _reset(writer)
                return
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    far_reader, far_writer = await connect()
            except (OSError, TimeoutError):
                _reset(writer)
                return
            await self._join((reader, writer), (far_reader, far_writer))

        return accept

    async def _join(self, near: Streams, far: Streams) -> None:
        writers = {near[1], far[1]}
        self._links |= writers
        ways = [
            asyncio.create_task(self._pass(near[0], far[1])),
            asyncio.create_task(self._pass(far[0], near[1])),
        ]
        self._passing.update(ways)
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._passing.difference_update(ways)
            self._links -= writers
            for way in ways:
                way.cancel()
            for writer in writers:
                writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):  # either end may break at any time: then so does the other
            while data := await reader.read(CHUNK):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    line: socket.socket | None = writer.get_extra_info("socket")
    if line is not None and line.family != socket.AF_UNIX:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
