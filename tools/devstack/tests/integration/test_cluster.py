"""Three RabbitMQ nodes as one broker, and copies of a service behind one port."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aio_pika
import pytest

from chassis.messaging.broker import Publisher, connect
from chassis.runtime.settings import ServiceSettings
from chassis.serve import open_sockets
from devstack import Stack, ports, rabbitmq
from devstack.down import purge
from devstack.programs import choose, programs
from devstack.stack import more_ports
from devstack.supervisor import Supervisor
from devstack.up import up
from shop.errors import ShopError
from shop.targets import OPERATOR

QUEUE = {
    "name": "till",
    "vhost": "/",
    "durable": True,
    "auto_delete": False,
    "arguments": {"x-queue-type": "quorum"},
}
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
BINDING = {"source": "amq.topic", "vhost": "/", "destination": "till", "destination_type": "queue"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("cluster")
    file = folder / "definitions.json"
    bound = BINDING | {"routing_key": "sale", "arguments": {}}
    file.write_text(json.dumps({"queues": [QUEUE], "bindings": [bound]}))
    base = ports.free_base(more_ports(3, 1))
    stack = Stack.create(folder / "stack", base, durable=False, topology=file, brokers=3)
    known = programs(stack)
    up(stack, choose(stack.nodes, known), known, lambda *_: None, 90)
    yield stack
    purge(stack)


async def _queue(stack: Stack, node: str) -> dict[str, Any]:
    async with rabbitmq.management(stack, node) as api:
        found: dict[str, Any] = await api.get("queues", "/", "till")
    return found


@pytest.mark.timeout(300)
@pytest.mark.broker
async def test_confirmed_messages_survive_the_leaders_death_and_publishing_goes_on(cluster: Stack) -> None:
    assert len((await _queue(cluster, "rabbitmq"))["members"]) == 3
    urls = ",".join(cluster.amqp_url(OPERATOR, port=port) for port in cluster.amqp_ports)
    connection = await connect(urls, "tests", timeout=10)
    publisher = Publisher(connection, window=10, timeout=20)
    confirmed = await _publish(publisher, 0)
    names = {rabbitmq.node_name(cluster, node): node for node in cluster.nodes}
    leader = names[(await _queue(cluster, "rabbitmq"))["leader"]]
    Supervisor(cluster).signal(leader, "KILL")
    confirmed += await _publish(publisher, 100)
    await connection.close()
    [survivor, _] = [node for node in cluster.nodes if node != leader]
    assert await _bodies(cluster, survivor) >= set(confirmed)


async def _publish(publisher: Publisher, start: int) -> list[str]:
    """A hundred messages, each until it is confirmed."""
    left = [str(number) for number in range(start, start + 100)]
    async with asyncio.timeout(60):
        while left:
            batch = [
                ("sale", aio_pika.Message(one.encode(), message_id=one, delivery_mode=2)) for one in left
            ]
            outcomes = await publisher.send("amq.topic", batch)
            left = [one for one, outcome in zip(left, outcomes, strict=True) if outcome is not None]
            await asyncio.sleep(0.1 if left else 0)
    return [str(number) for number in range(start, start + 100)]


async def _bodies(stack: Stack, node: str) -> set[str]:
    url = stack.amqp_url(OPERATOR, port=stack.ports[rabbitmq.port_name("amqp", node)])
    async with await aio_pika.connect(url) as connection:
        queue = await (await connection.channel()).declare_queue("till", passive=True)
        found = set()
        while message := await queue.get(fail=False):
            found.add(message.body.decode())
            await message.ack()
    return found


async def test_a_queue_that_is_not_on_every_node_is_reported() -> None:
    class Api:
        async def get(self, _: str) -> list[dict[str, Any]]:
            return [{"name": "till", "type": "quorum", "members": ["one"]}, {"name": "t", "type": "classic"}]

    with pytest.raises(ShopError, match="till is on 1 of 3 nodes"):
        await rabbitmq.check_members(Api(), 3)  # type: ignore[arg-type]


async def test_copies_share_a_port_and_the_others_answer_when_one_is_gone() -> None:
    shared, own, other = (_free_port() for _ in range(3))
    sockets = [open_sockets(_settings(shared, one)) for one in (own, other)]
    servers = [
        [await asyncio.start_server(_answering(name), sock=sock) for sock in listening]
        for name, listening in zip((b"1", b"2"), sockets, strict=True)
        if listening
    ]
    assert {await _received(shared) for _ in range(40)} == {b"1", b"2"}
    assert (await _received(own), await _received(other)) == (b"1", b"2")
    for server in servers[0]:
        server.close()
    assert {await _received(shared) for _ in range(10)} == {b"2"}
    for server in servers[1]:
        server.close()


def _answering(name: bytes) -> Handler:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(name)
        writer.close()

    return answer


async def _received(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = await reader.read()
    writer.close()
    return received


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _settings(port: int, own_port: int) -> ServiceSettings:
    return ServiceSettings(
        database_url="postgresql+asyncpg://x",
        amqp_url="amqp://x",
        jwks_url="http://x",
        token_issuer="x",
        token_audience="x",
        port=port,
        own_port=own_port,
    )
