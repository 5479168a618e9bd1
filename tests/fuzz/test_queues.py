"""Bad messages on a real broker and a real database: each is dead-lettered with its reason, and the good one
behind them is handled."""

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from sqlalchemy import text
from structlog.testing import capture_logs

from chassis.messaging.broker import login
from chassis.runtime.settings import ServiceSettings
from chassis.runtime.worker import Worker
from chassis.saga.topology import EVENTS_EXCHANGE, LADDER, Participant, definitions
from chassis.storage.database import Transactions, connect
from contracts import Event, OrderPaid
from order.domain import Order
from shop.services import PARTICIPANTS
from tests.fuzz.events import QUEUES, enveloped, good, heard_by
from tests.fuzz.odd import UNREADABLE, with_nul

PATIENCE = 60
SHORT_TTL = 20  # milliseconds instead of the ladder's 1, 10 and 60 s
REFUSED_BY_THE_BROKER = {"attempts of inf", "attempts of nan"}  # RabbitMQ closes their sender's connection
REFUSALS = ("CharacterNotInRepertoireError", "UntranslatableCharacterError", "Impossible", "NeverReserved")
LISTENING = {steps.queue: p for p in PARTICIPANTS for steps in p.steps}
Dead = AbstractIncomingMessage


@pytest.fixture
async def channel(rabbitmq: Any) -> AsyncIterator[AbstractChannel]:
    topology = definitions(PARTICIPANTS)
    for policy in topology["policies"]:
        if "message-ttl" in policy["definition"]:
            policy["definition"]["message-ttl"] = SHORT_TTL
    await rabbitmq.import_topology(topology)
    async with await aio_pika.connect(rabbitmq.url) as connection:
        yield await connection.channel()


@asynccontextmanager
async def working(participant: Participant, database_url: str, amqp_url: str) -> AsyncIterator[Transactions]:
    settings = ServiceSettings(
        database_url=database_url,
        amqp_url=amqp_url,
        jwks_url="http://127.0.0.1/",
        token_issuer="tests",
        token_audience="tests",
        consume_linger=0.005,
        shutdown_grace=5,
    )
    importlib.import_module(f"{participant.name}.tables")  # maps its rows
    engine = connect(database_url, pool_size=5, statement_timeout=10)
    transactions = Transactions(engine, participant.name, lease=60)
    worker = Worker(participant, settings, transactions, None, ())
    with capture_logs():  # a few hundred tracebacks
        await worker.start()
        try:
            yield transactions
        finally:
            await worker.stop()
            await engine.dispose()
            assert not worker.failed


async def known_to(queue: str, transactions: Transactions) -> Event:
    """An event that the queue's step can do; order knows the order that it is about."""
    if queue != "order":
        return good(heard_by(queue)[0])
    event = good(OrderPaid)
    assert isinstance(event, OrderPaid)
    now = datetime.now(UTC)
    async with transactions() as tx:
        tx.add(
            Order(
                order_id=event.order_id,
                shopper_id=event.shopper_id,
                lines=event.lines,
                total=event.total.amount,
                currency=event.total.currency,
                payment_method="pm_card_visa",
                contact="sealed",
                created_at=now,
                deadline=now,
            )
        )
    return event


def bad(queue: str) -> list[aio_pika.Message]:
    """One of each kind that nobody can read."""
    made = []
    for how in sorted(UNREADABLE.keys() - REFUSED_BY_THE_BROKER):
        message = enveloped(good(heard_by(queue)[0])).to_message()
        UNREADABLE[how](message)
        made.append(message)
    return made


async def ended(channel: AbstractChannel, queue: str, transactions: Transactions, count: int) -> list[Dead]:
    """The dead letters once so many messages have ended, there or as handled."""
    letters = await channel.declare_queue(f"{queue}.dead", passive=True)
    dead: list[Dead] = []
    async with asyncio.timeout(PATIENCE):
        while len(dead) + len(await handled(transactions)) < count:
            while (message := await letters.get(no_ack=True, fail=False)) is not None:
                dead.append(message)
            await asyncio.sleep(0.05)
    left = await channel.declare_queue(queue, passive=True)
    assert left.declaration_result.message_count == 0
    return dead


async def handled(transactions: Transactions) -> set[str]:
    """Ids of the messages whose effects are committed."""
    async with transactions() as tx:
        return set(await tx.session.scalars(text("SELECT message_id FROM inbox")))


@pytest.mark.parametrize("queue", QUEUES)
async def test_an_unreadable_message_is_dead_lettered_and_the_next_is_handled(
    queue: str, channel: AbstractChannel, rabbitmq: Any, migrated: Callable[[str], str]
) -> None:
    participant = LISTENING[queue]
    async with working(participant, migrated(participant.name), rabbitmq.url) as transactions:
        event = await known_to(queue, transactions)
        messages = bad(queue)
        for message in (*messages, enveloped(event).to_message()):
            await channel.default_exchange.publish(message, queue)
        dead = await ended(channel, queue, transactions, len(messages) + 1)
        assert await handled(transactions) == {enveloped(event).id}
    assert sorted(m.body for m in dead) == sorted(m.body for m in messages)
    for letter in dead:
        assert letter.headers["error"]
        assert letter.headers["failed-service"] == participant.name
        assert letter.headers["failed-step"] == "decode"


@pytest.mark.parametrize("queue", QUEUES)
async def test_a_forged_id_or_source_is_dead_lettered_and_the_genuine_event_is_handled(
    queue: str, channel: AbstractChannel, rabbitmq: Any, migrated: Callable[[str], str]
) -> None:
    """Published as services do: to the exchange of events, by a login that the broker knows."""
    participant, us = LISTENING[queue], login(rabbitmq.url)
    events = await channel.get_exchange(EVENTS_EXCHANGE, ensure=False)
    async with working(participant, migrated(participant.name), rabbitmq.url) as transactions:
        event = await known_to(queue, transactions)
        made_up = enveloped(good(type(event))).to_message(us)
        made_up.headers = {**made_up.headers, "cloudEvents:id": enveloped(event).id}
        disguised = enveloped(good(type(event))).to_message(us)
        disguised.headers = {**disguised.headers, "cloudEvents:source": "/somebody"}
        for message in (made_up, disguised, enveloped(event).to_message(us)):
            await events.publish(message, event.type)
        dead = await ended(channel, queue, transactions, 3)
        assert await handled(transactions) == {enveloped(event).id}
    assert {str(letter.headers["error"]) for letter in dead} == {
        "the id is not its type and subject",
        "the source is not who published it",
    }
    assert {letter.headers["cloudEvents:source"] for letter in dead} == {f"/{us}"}


@pytest.mark.parametrize("queue", QUEUES)
async def test_a_message_that_the_database_refuses_is_retried_and_blocks_no_other(
    queue: str, channel: AbstractChannel, rabbitmq: Any, migrated: Callable[[str], str]
) -> None:
    """Where a step keeps nothing of the odd text, the event is handled."""
    participant = LISTENING[queue]
    async with working(participant, migrated(participant.name), rabbitmq.url) as transactions:
        event = await known_to(queue, transactions)
        odd = [message for model in heard_by(queue) for message in with_nul(model)]
        for message in (*odd, enveloped(event).to_message()):
            await channel.default_exchange.publish(message, queue)
        dead = await ended(channel, queue, transactions, len(odd) + 1)
        assert enveloped(event).id in await handled(transactions)
    assert {letter.headers["attempts"] for letter in dead} <= {len(LADDER) + 1}
    for letter in dead:
        assert str(letter.headers["error"]).startswith(REFUSALS)
    assert bool(dead) == (queue != "cart"), "cart keeps no text of what it consumes"
