"""A gate between a client and a server: passes, is cut, stalled, shut, and opened again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lab.chaos.gate import Gate, to_port, to_socket

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1024):
        writer.write(data)
    writer.close()


@asynccontextmanager
async def gate_to_an_echo() -> AsyncIterator[tuple[Gate, int]]:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    gate = Gate()
    port = await gate.listen(to_port("127.0.0.1", server.sockets[0].getsockname()[1]))
    try:
        yield gate, port
    finally:
        await gate.close()
        server.close()


async def said_back(line: Streams, word: bytes) -> bytes:
    reader, writer = line
    writer.write(word)
    async with asyncio.timeout(10):
        return await reader.readexactly(len(word))


async def is_broken(line: Streams) -> bool:
    try:
        async with asyncio.timeout(10):
            return await line[0].read(1) == b""
    except ConnectionError:
        return True


async def test_an_open_gate_passes_both_ways() -> None:
    async with gate_to_an_echo() as (_, port):
        line = await asyncio.open_connection("127.0.0.1", port)
        assert await said_back(line, b"hello") == b"hello"


async def test_a_cut_breaks_what_is_open_and_lets_new_ones_in() -> None:
    async with gate_to_an_echo() as (gate, port):
        line = await asyncio.open_connection("127.0.0.1", port)
        await said_back(line, b"hello")
        gate.cut()
        assert await is_broken(line)
        assert await said_back(await asyncio.open_connection("127.0.0.1", port), b"again") == b"again"


async def test_a_stalled_gate_holds_bytes_until_it_is_opened() -> None:
    async with gate_to_an_echo() as (gate, port):
        line = await asyncio.open_connection("127.0.0.1", port)
        await said_back(line, b"hello")
        gate.stall()
        answer = asyncio.create_task(said_back(line, b"held"))
        await asyncio.wait([answer], timeout=0.3)
        assert not answer.done()
        gate.open()
        assert await answer == b"held"


async def test_a_shut_gate_refuses_whoever_comes_until_it_is_opened() -> None:
    async with gate_to_an_echo() as (gate, port):
        gate.shut()
        assert await is_broken(await asyncio.open_connection("127.0.0.1", port))
        gate.open()
        assert await said_back(await asyncio.open_connection("127.0.0.1", port), b"again") == b"again"


async def test_a_gate_on_a_socket_file_leads_to_another(tmp_path: Path) -> None:
    server = await asyncio.start_unix_server(_echo, tmp_path / "server")
    gate = Gate()
    await gate.listen_at(tmp_path / "gate", to_socket(tmp_path / "server"))
    line = await asyncio.open_unix_connection(tmp_path / "gate")
    assert await said_back(line, b"hello") == b"hello"
    gate.cut()
    assert await is_broken(line)
    await gate.close()
    server.close()


@pytest.mark.parametrize("breaks", [Gate.cut, Gate.stall, Gate.shut])
async def test_a_gate_closes_whatever_was_done_to_it(breaks: object) -> None:
    async with gate_to_an_echo() as (gate, port):
        await said_back(await asyncio.open_connection("127.0.0.1", port), b"hello")
        breaks(gate)  # type: ignore[operator]


async def test_a_server_that_is_away_shows_as_a_broken_connection() -> None:
    gate = Gate()
    port = await gate.listen(to_port("127.0.0.1", 1))
    assert await is_broken(await asyncio.open_connection("127.0.0.1", port))
    await gate.close()
