"""Events that only the new release knows, while workers of the previous one still read the queues that are
bound to them: none is lost."""

import asyncio
from collections.abc import AsyncIterator

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel

from chassis.saga.delivery import decode
from chassis.saga.topology import EVENTS_EXCHANGE, definitions
from contracts.schema import committed
from devstack.testing.broker import Broker
from shop.audit.trail import Audit
from shop.dead_letters.dead_letter import STEPS
from shop.dead_letters.session import Action, DeadLetterSession
from shop.services import PARTICIPANTS
from tests.upgrade import peer
from tests.upgrade.documents import examples
from tests.upgrade.released import ROOT, SCHEMAS, Release

EACH = 3
Unknown = set[tuple[str, str]]


@pytest.fixture(scope="module")
def unknown(release: Release) -> Unknown:
    """The queues, and what they are bound to that the previous release has no step for."""
    known = release.does("bound", None)
    found = {
        (queue, type_) for queue, types in peer.bound(None).items() for type_ in {*types} - {*known[queue]}
    }
    return found or pytest.skip("both releases have steps for the same events")


@pytest.fixture
async def channel(rabbitmq: Broker, unknown: Unknown) -> AsyncIterator[AbstractChannel]:
    """On a broker with today's topology, where queues are bound to what is unknown alone."""
    topology = definitions(PARTICIPANTS)
    topology["bindings"] = [
        binding
        for binding in topology["bindings"]
        if binding["source"] != EVENTS_EXCHANGE or (binding["destination"], binding["routing_key"]) in unknown
    ]
    await rabbitmq.import_topology(topology)
    async with await aio_pika.connect(rabbitmq.url) as connection:
        yield await connection.channel()


@pytest.fixture
async def session(postgres: str, rabbitmq: Broker) -> AsyncIterator[DeadLetterSession]:
    async with Audit.connected(postgres.replace("postgresql+asyncpg", "postgresql"), "ada@session") as audit:
        yield DeadLetterSession(audit, rabbitmq.url)


async def published(channel: AbstractChannel, unknown: Unknown) -> list[tuple[str, str, str]]:
    """Events as the services of today publish them: the queue of each, its type, and what it says."""
    schemas = committed(ROOT / SCHEMAS)
    exchange = await channel.get_exchange(EVENTS_EXCHANGE)
    documents = [
        {"type": type_, "data": document}
        for type_ in sorted({type_ for _, type_ in unknown})
        for document in examples(schemas[f"{type_}.v1.json"], EACH)
    ]
    spoken = peer.speak(documents)
    for one in spoken:
        message = aio_pika.Message(
            one["body"].encode(),
            headers=one["headers"],
            type=one["type"],
            message_id=one["headers"]["cloudEvents:id"],
        )
        await exchange.publish(message, one["type"], mandatory=True)
    return sorted(
        (queue, type_, one["body"]) for queue, type_ in unknown for one in spoken if one["type"] == type_
    )


async def delivered(channel: AbstractChannel) -> list[tuple[str, str, str]]:
    """What lies in the queues and today's steps can read."""
    found = []
    for queue, steps in STEPS.items():
        declared = await channel.declare_queue(queue, passive=True)
        while (message := await declared.get(no_ack=True, fail=False)) is not None:
            found.append((queue, decode(message, steps).event.type, message.body.decode()))
    return sorted(found)


async def test_an_event_unknown_to_an_old_worker_is_dead_lettered_and_can_be_redelivered(
    release: Release, unknown: Unknown, channel: AbstractChannel, rabbitmq: Broker, session: DeadLetterSession
) -> None:
    sent = await published(channel, unknown)
    await asyncio.to_thread(release.does, "consume", {"amqp_url": rabbitmq.url, "moves": len(sent)})
    seen = await session.peek()
    assert all("no step for" in letter.reason for letter in seen.dead_letters)
    async with session.exclusive():
        await session.act([Action.replay(letter) for letter in seen.dead_letters], "the new release runs")
    assert (await session.peek()).dead_letters == ()
    assert await delivered(channel) == sent
