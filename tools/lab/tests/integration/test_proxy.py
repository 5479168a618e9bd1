"""A proxy between a client and a server: it forwards, cuts, stalls, refuses, and forwards again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from lab.chaos.network import Proxy

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1024):
        writer.write(data)
    writer.close()


@asynccontextmanager
async def proxied_echo() -> AsyncIterator[tuple[Proxy, int]]:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    proxy = Proxy()
    port = await proxy.listen(
        partial(asyncio.open_connection, "127.0.0.1", server.sockets[0].getsockname()[1])
    )
    try:
        yield proxy, port
    finally:
        await proxy.close()
        server.close()


async def echoed(connection: Streams, word: bytes) -> bytes:
    reader, writer = connection
    writer.write(word)
    async with asyncio.timeout(10):
        return await reader.readexactly(len(word))


async def is_broken(connection: Streams) -> bool:
    try:
        async with asyncio.timeout(10):
            return await connection[0].read(1) == b""
    except ConnectionError:
        return True


async def test_a_proxy_forwards_both_ways() -> None:
    async with proxied_echo() as (_, port):
        connection = await asyncio.open_connection("127.0.0.1", port)
        assert await echoed(connection, b"hello") == b"hello"


async def test_a_cut_resets_open_connections_and_accepts_new_ones() -> None:
    async with proxied_echo() as (proxy, port):
        connection = await asyncio.open_connection("127.0.0.1", port)
        await echoed(connection, b"hello")
        proxy.cut()
        assert await is_broken(connection)
        assert await echoed(await asyncio.open_connection("127.0.0.1", port), b"again") == b"again"


async def test_a_stalled_proxy_holds_bytes_until_it_is_restored() -> None:
    async with proxied_echo() as (proxy, port):
        connection = await asyncio.open_connection("127.0.0.1", port)
        await echoed(connection, b"hello")
        proxy.stall()
        answer = asyncio.create_task(echoed(connection, b"held"))
        await asyncio.wait([answer], timeout=0.3)
        assert not answer.done()
        proxy.restore()
        assert await answer == b"held"


async def test_a_refusing_proxy_resets_new_connections_until_it_is_restored() -> None:
    async with proxied_echo() as (proxy, port):
        proxy.refuse()
        assert await is_broken(await asyncio.open_connection("127.0.0.1", port))
        proxy.restore()
        assert await echoed(await asyncio.open_connection("127.0.0.1", port), b"again") == b"again"


async def test_a_proxy_forwards_from_one_unix_socket_to_another(tmp_path: Path) -> None:
    server = await asyncio.start_unix_server(_echo, tmp_path / "server")
    proxy = Proxy()
    await proxy.listen_at(tmp_path / "proxy", partial(asyncio.open_unix_connection, tmp_path / "server"))
    connection = await asyncio.open_unix_connection(tmp_path / "proxy")
    assert await echoed(connection, b"hello") == b"hello"
    proxy.cut()
    assert await is_broken(connection)
    await proxy.close()
    server.close()


@pytest.mark.parametrize("fault", [Proxy.cut, Proxy.stall, Proxy.refuse])
async def test_a_proxy_can_be_closed_after_every_fault(fault: Callable[[Proxy], None]) -> None:
    async with proxied_echo() as (proxy, port):
        await echoed(await asyncio.open_connection("127.0.0.1", port), b"hello")
        fault(proxy)


async def test_an_unavailable_server_shows_as_a_reset_connection() -> None:
    proxy = Proxy()
    port = await proxy.listen(partial(asyncio.open_connection, "127.0.0.1", 1))
    assert await is_broken(await asyncio.open_connection("127.0.0.1", port))
    await proxy.close()
