import asyncio

import aio_pika
import pytest

from devstack.testing.broker import Broker
from shop.audit.trail import Audit
from shop.dead_letters.deliveries import fetch
from shop.dead_letters.session import DeadLetterSession
from shop.errors import ShopError

from ...conftest import dead_letter
from .conftest import Bury, dsn


async def test_peeking_25_times_loses_and_reorders_nothing(session: DeadLetterSession, bury: Bury) -> None:
    await bury(*(dead_letter(body=b"%d" % n) for n in range(30)))
    for _ in range(25):
        seen = await session.peek()
        assert [x.body for x in seen.dead_letters] == [b"%d" % n for n in range(30)]
    assert seen.beyond == {}


async def test_peeking_at_some_leaves_the_others_in_their_order(
    audit: Audit, broker: Broker, bury: Bury
) -> None:
    await bury(*(dead_letter(body=b"%d" % n) for n in range(30)))
    for _ in range(5):
        seen = await DeadLetterSession(audit, broker.url, limit=7).peek()
        assert [x.body for x in seen.dead_letters] == [b"%d" % n for n in range(7)]
        assert seen.beyond == {"payment": 23}
    everything = await DeadLetterSession(audit, broker.url).peek()
    assert [x.body for x in everything.dead_letters] == [b"%d" % n for n in range(30)]


async def test_peeking_does_not_change_an_id(session: DeadLetterSession, bury: Bury) -> None:
    await bury(dead_letter(), dead_letter(queue="order.timeline"))
    [first, second] = (await session.peek()).dead_letters
    assert [x.id for x in (await session.peek()).dead_letters] == [first.id, second.id]
    assert {first.queue, second.queue} == {"payment", "order.timeline"}


async def test_two_copies_are_one_dead_letter(session: DeadLetterSession, bury: Bury) -> None:
    await bury(dead_letter(), dead_letter(body=b"other"), dead_letter())
    assert [x.body for x in (await session.peek()).dead_letters] == [dead_letter().body, b"other"]


async def test_two_sessions_that_peek_at_once_get_the_same(
    session: DeadLetterSession, broker: Broker, postgres: str, bury: Bury
) -> None:
    await bury(*(dead_letter(body=b"%d" % n) for n in range(5)))
    async with Audit.connected(dsn(postgres), "eve") as audit:
        other = DeadLetterSession(audit, broker.url)
        looks = await asyncio.gather(*(d.peek() for d in (session, other)))
    assert looks[0] == looks[1]
    assert len(looks[0].dead_letters) == 5


async def test_fetched_dead_letters_are_requeued_when_the_process_dies(
    broker: Broker, session: DeadLetterSession, bury: Bury
) -> None:
    await bury(*(dead_letter(body=b"%d" % n) for n in range(5)))
    with pytest.raises(RuntimeError):
        async with fetch(broker.url, ["payment"], 1000):
            raise RuntimeError("died")
    assert len((await session.peek()).dead_letters) == 5


async def test_a_message_past_the_brokers_delivery_limit_is_a_dead_letter_with_a_reason(
    broker: Broker, session: DeadLetterSession, channel: aio_pika.abc.AbstractChannel
) -> None:
    """As it does past a limit that is lower than ours, which an earlier release set."""
    bury = {"dead-letter-exchange": "payment.retry", "dead-letter-routing-key": "dead", "delivery-limit": 10}
    policy = {"pattern": "^payment$", "apply-to": "queues", "definition": bury, "priority": 9}
    async with broker.management() as api:
        await api.put("policies", broker.vhost, "lower", body=policy)
    await channel.default_exchange.publish(dead_letter().as_published().to_message(), "payment")
    queue = await channel.declare_queue("payment", passive=True)
    while message := await queue.get(fail=False):
        await message.reject(requeue=True)
    async with asyncio.timeout(20):
        while not (found := (await session.peek()).dead_letters):
            await asyncio.sleep(0.05)
    [given_up] = found
    assert given_up.reason == "delivered repeatedly, never acknowledged: delivery limit reached"
    assert (given_up.failed_step, given_up.attempts, given_up.event_type) == (None, 1, "order.created")
    assert given_up.first_failed_at is not None
    assert given_up.as_published() == dead_letter().as_published()


async def test_an_unavailable_broker_is_reported_in_one_line(audit: Audit) -> None:
    with pytest.raises(ShopError, match="shop status"):
        await DeadLetterSession(audit, "amqp://nobody:nothing@127.0.0.1:1/").peek()
