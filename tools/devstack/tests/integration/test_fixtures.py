"""The fixtures that give tests their servers."""

import aio_pika
import pytest
from aiormq.exceptions import ChannelAccessRefused
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from devstack.testing.broker import Broker

_TOPOLOGY = {
    "users": [{"name": "order", "password_hash": "", "tags": []}],
    "permissions": [{"user": "order", "vhost": "/", "configure": "^$", "write": "^$", "read": "^order$"}],
    "queues": [{"name": "order", "vhost": "/", "durable": True, "auto_delete": False, "arguments": {}}],
}


@pytest.mark.parametrize("_repetition", [1, 2])
async def test_each_test_has_an_empty_database(postgres: str, _repetition: int) -> None:
    engine = create_async_engine(postgres)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE once (id int)"))
    await engine.dispose()


@pytest.mark.parametrize("_repetition", [1, 2])
async def test_each_test_has_an_empty_virtual_host(rabbitmq: Broker, _repetition: int) -> None:
    connection = await aio_pika.connect(rabbitmq.url)
    async with connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("order", durable=True)
        await channel.default_exchange.publish(aio_pika.Message(b"one"), "order")

        assert (await channel.declare_queue("order", passive=True)).declaration_result.message_count == 1
        assert queue.name == "order"


async def test_an_imported_topology_brings_its_users_and_their_permissions(rabbitmq: Broker) -> None:
    await rabbitmq.import_topology(_TOPOLOGY)

    connection = await aio_pika.connect(rabbitmq.url_of("order"))
    async with connection:
        channel = await connection.channel()
        await channel.declare_queue("order", passive=True)
        with pytest.raises(ChannelAccessRefused):
            await channel.declare_queue("another")
