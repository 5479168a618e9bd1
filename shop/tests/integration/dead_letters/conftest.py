"""A session on dead letters on a real broker, with its own audit and all queues."""

from collections.abc import AsyncIterator, Awaitable, Callable

import aio_pika
import pytest

from chassis.saga.topology import definitions
from devstack.testing.broker import Broker
from shop.audit.trail import Audit
from shop.dead_letters.dead_letter import DeadLetter
from shop.dead_letters.session import DeadLetterSession
from shop.services import PARTICIPANTS

Bury = Callable[..., Awaitable[None]]


def dsn(url: str) -> str:
    return url.replace("postgresql+asyncpg", "postgresql")


@pytest.fixture
async def broker(rabbitmq: Broker) -> Broker:
    """All queues except those of the retry ladder: nothing here waits for a retry."""
    topology = definitions(PARTICIPANTS)
    kept = [queue for queue in topology["queues"] if ".retry." not in queue["name"]]
    bound = [binding for binding in topology["bindings"] if ".retry." not in binding["destination"]]
    await rabbitmq.import_topology(topology | {"queues": kept, "bindings": bound})
    return rabbitmq


@pytest.fixture
async def channel(broker: Broker) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    async with await aio_pika.connect(broker.url) as connection:
        yield await connection.channel()


@pytest.fixture
def bury(channel: aio_pika.abc.AbstractChannel) -> Bury:
    """Publish messages to the dead-letter queues of their queues."""

    async def bury(*dead_letters: DeadLetter) -> None:
        for one in dead_letters:
            await channel.default_exchange.publish(one.to_message(), f"{one.queue}.dead")

    return bury


@pytest.fixture
async def audit(postgres: str) -> AsyncIterator[Audit]:
    async with Audit.connected(dsn(postgres), "ada@desk") as audit:
        yield audit


@pytest.fixture
def session(audit: Audit, broker: Broker) -> DeadLetterSession:
    return DeadLetterSession(audit, broker.url)
