"""Connecting to the broker: to which node, and for how long it is retried."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aio_pika
import pytest

from chassis.messaging.broker import Publisher, connect
from devstack.testing.broker import Broker


@dataclass
class Node:
    """A proxy to the real broker that acts as one of its nodes, and can stop."""

    url: str
    server: asyncio.Server
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def is_in_use(self) -> bool:
        return bool(self.writers)

    async def die(self) -> None:
        self.server.close()
        for writer in self.writers:
            writer.transport.abort()


@asynccontextmanager
async def node(url: str, port: int = 0) -> AsyncIterator[Node]:
    parts = urlsplit(url)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(parts.hostname, parts.port)
        made.writers.add(writer)
        try:
            await asyncio.gather(_pass(reader, far_writer), _pass(far_reader, writer))
        finally:
            made.writers.discard(writer)
            far_writer.close()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    there = server.sockets[0].getsockname()[1]
    made = Node(
        parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{there}").geturl(), server
    )
    try:
        yield made
    finally:
        await made.die()
        async with asyncio.timeout(10):
            while made.is_in_use:
                await asyncio.sleep(0.02)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
    except OSError:
        pass
    writer.close()


async def test_a_connection_reconnects_to_another_node(rabbitmq: Broker) -> None:
    async with node(rabbitmq.url) as one, node(rabbitmq.url) as other:
        connection = await connect(f"{one.url},{other.url}", "tests", timeout=5)
        publisher = Publisher(connection, window=10, timeout=20)
        await publisher.check("amq.topic")
        dead, alive = (one, other) if one.is_in_use else (other, one)
        await dead.die()
        async with asyncio.timeout(30):
            while await _say(publisher) is not None:
                await asyncio.sleep(0.1)
        assert alive.is_in_use
        await connection.close()


async def test_connecting_is_retried_until_the_broker_is_up(rabbitmq: Broker) -> None:
    async with node(rabbitmq.url) as first:
        port = urlsplit(first.url).port
        assert port is not None
        await first.die()
        connecting = asyncio.create_task(connect(first.url, "tests", timeout=5, startup_timeout=30))
        done, _ = await asyncio.wait([connecting], timeout=0.5)
        assert not done
        async with node(rabbitmq.url, port):
            connection = await connecting
            await Publisher(connection, window=1, timeout=5).check("amq.topic")
            await connection.close()


async def test_connecting_is_retried_for_a_limited_time() -> None:
    with pytest.raises(OSError, match="Connect"):
        await connect("amqp://nobody@127.0.0.1:1/", "tests", timeout=5, startup_timeout=0.5)


async def test_refused_credentials_are_not_retried(rabbitmq: Broker) -> None:
    parts = urlsplit(rabbitmq.url)
    stranger = parts._replace(netloc=f"stranger:wrong@{parts.hostname}:{parts.port}").geturl()
    with pytest.raises(aio_pika.exceptions.ProbableAuthenticationError):
        async with asyncio.timeout(20):
            await connect(stranger, "tests", timeout=5, startup_timeout=60)


async def _say(publisher: Publisher) -> BaseException | None:
    message = aio_pika.Message(b"{}", message_id="m")
    [outcome] = await publisher.send("amq.topic", [("tests", message)])
    return None if isinstance(outcome, aio_pika.exceptions.DeliveryError) else outcome
