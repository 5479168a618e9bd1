"""How many connections and channels one service may have at RabbitMQ."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from aiormq.exceptions import AMQPError, ConnectionNotAllowed

from chassis.saga.topology import LIMITS, Participant, definitions
from devstack.testing.broker import Broker
from tests.broker_rights.trying import signed_in


@pytest.fixture
async def url(rabbitmq: Broker) -> AsyncIterator[str]:
    """Of a service of this test's own."""
    name = f"service-{secrets.token_hex(4)}"
    await rabbitmq.import_topology(definitions([Participant(name)]))
    yield rabbitmq.url_of(name)
    async with rabbitmq.management() as api:
        await api.delete("users", name)


async def test_a_services_number_of_connections_is_limited(url: str) -> None:
    async with AsyncExitStack() as opened:
        for _ in range(LIMITS["max-connections"]):
            await opened.enter_async_context(signed_in(url))

        with pytest.raises(AMQPError, match=r"Connection\.Close"):
            await opened.enter_async_context(signed_in(url))


async def test_a_services_number_of_channels_is_limited(url: str) -> None:
    async with signed_in(url) as connection:
        for _ in range(LIMITS["max-channels"]):
            await connection.channel()

        with pytest.raises(ConnectionNotAllowed, match="maximum allowed user limit"):
            await connection.channel()
