import asyncio

import aio_pika
import pytest

from devstack.testing.broker import Broker
from shop.audit.trail import Audit
from shop.dead_letters.desk import Desk
from shop.dead_letters.holding import held
from shop.errors import ShopError

from .conftest import Bury, dsn, letter


async def test_looking_25_times_loses_and_reorders_nothing(desk: Desk, bury: Bury) -> None:
    await bury(*(letter(body=b"%d" % n) for n in range(30)))
    for _ in range(25):
        seen = await desk.look()
        assert [x.body for x in seen.letters] == [b"%d" % n for n in range(30)]
    assert seen.beyond == {}


async def test_looking_at_some_leaves_the_others_in_their_order(
    audit: Audit, broker: Broker, bury: Bury
) -> None:
    await bury(*(letter(body=b"%d" % n) for n in range(30)))
    for _ in range(5):
        seen = await Desk(audit, broker.url, limit=7).look()
        assert [x.body for x in seen.letters] == [b"%d" % n for n in range(7)]
        assert seen.beyond == {"payment": 23}
    everything = await Desk(audit, broker.url).look()
    assert [x.body for x in everything.letters] == [b"%d" % n for n in range(30)]


async def test_a_look_does_not_change_what_a_letter_is_called(desk: Desk, bury: Bury) -> None:
    await bury(letter(), letter(queue="order.timeline"))
    [first, second] = (await desk.look()).letters
    assert [x.id for x in (await desk.look()).letters] == [first.id, second.id]
    assert {first.queue, second.queue} == {"payment", "order.timeline"}


async def test_two_copies_are_one_letter(desk: Desk, bury: Bury) -> None:
    await bury(letter(), letter(body=b"other"), letter())
    assert [x.body for x in (await desk.look()).letters] == [letter().body, b"other"]


async def test_two_who_look_at_once_see_the_same(
    desk: Desk, broker: Broker, postgres: str, bury: Bury
) -> None:
    await bury(*(letter(body=b"%d" % n) for n in range(5)))
    async with Audit.connected(dsn(postgres), "eve") as audit:
        other = Desk(audit, broker.url)
        looks = await asyncio.gather(*(d.look() for d in (desk, other)))
    assert looks[0] == looks[1]
    assert len(looks[0].letters) == 5


async def test_what_was_in_hand_when_a_process_died_is_there_again(
    broker: Broker, desk: Desk, bury: Bury
) -> None:
    await bury(*(letter(body=b"%d" % n) for n in range(5)))
    with pytest.raises(RuntimeError):
        async with held(broker.url, ["payment"], 1000):
            raise RuntimeError("died")
    assert len((await desk.look()).letters) == 5


async def test_what_the_broker_gives_up_is_a_letter_with_a_reason(
    broker: Broker, desk: Desk, channel: aio_pika.abc.AbstractChannel
) -> None:
    """As it does past a limit that is lower than ours, which an earlier release set."""
    bury = {"dead-letter-exchange": "payment.retry", "dead-letter-routing-key": "dead", "delivery-limit": 10}
    policy = {"pattern": "^payment$", "apply-to": "queues", "definition": bury, "priority": 9}
    async with broker.management() as api:
        await api.put("policies", broker.vhost, "lower", body=policy)
    await channel.default_exchange.publish(letter().fresh().to_message(), "payment")
    queue = await channel.declare_queue("payment", passive=True)
    while message := await queue.get(fail=False):
        await message.reject(requeue=True)
    async with asyncio.timeout(20):
        while not (found := (await desk.look()).letters):
            await asyncio.sleep(0.05)
    [given_up] = found
    assert given_up.reason == "delivered again and again and never answered"
    assert (given_up.step, given_up.attempts, given_up.event_type) == (None, 1, "order.created")
    assert given_up.first_seen is not None
    assert given_up.fresh() == letter().fresh()


async def test_a_broker_that_is_away_is_told_in_one_line(audit: Audit) -> None:
    with pytest.raises(ShopError, match="shop status"):
        await Desk(audit, "amqp://nobody:nothing@127.0.0.1:1/").look()
