"""Messages that a real broker refuses: for a permission, an argument, a missing queue or a full one."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from uuid import uuid4

import aio_pika
import pytest
from sqlalchemy import text

from chassis.messaging.broker import Publisher, connect, is_refused
from chassis.runtime.relay import Relay

from ..things import ThingMade, ThingSold, selling
from .conftest import World, enveloped


@pytest.fixture
async def publisher(world: World) -> AsyncIterator[Publisher]:
    connection = await connect(world.broker.url_of("seller"), "tests", timeout=5)
    yield Publisher(connection, window=100, timeout=5)
    await connection.close()


async def may_publish(world: World, *keys: str) -> None:
    async with world.broker.management() as api:
        rights = {"exchange": "events", "write": f"^({'|'.join(keys)})$", "read": "^$"}
        await api.put("topic-permissions", world.broker.vhost, "seller", body=rights)


def messages(count: int) -> list[tuple[str, aio_pika.Message]]:
    return [("thing.made", enveloped(ThingMade(id=uuid4())).to_message()) for _ in range(count)]


async def delivered(world: World) -> Counter[str]:
    queue = await world.channel.declare_queue("seller", passive=True)
    found: Counter[str] = Counter()
    while (message := await queue.get(fail=False)) is not None:
        found[message.message_id or ""] += 1
        await message.ack()
    return found


async def test_only_the_refused_row_waits_and_records_why(world: World, publisher: Publisher) -> None:
    await may_publish(world, "thing\\.made")
    transactions = world.transactions()
    limits = {"publish_linger": 0, "refused_longest_delay": 0.2}
    relay = Relay(world.engine, publisher, "seller", world.settings.model_copy(update=limits))
    transactions.after_commit(relay=relay)
    running = asyncio.create_task(relay.run())
    things = [ThingMade(id=uuid4()) for _ in range(40)]
    async with transactions() as tx:
        tx.publish(*things[:20], ThingSold(id=things[0].id), *things[20:])

    async def only_one_is_left_and_was_tried_thrice() -> bool:
        return bool(
            await world.count("outbox") == 1
            and await world.count(
                "outbox WHERE type = 'thing.sold' AND attempts >= 3 AND error LIKE 'ChannelAccessRefused%'"
            )
        )

    await world.eventually(only_one_is_left_and_was_tried_thrice)
    times = await delivered(world)
    assert set(times) == {f"thing.made/{thing.id}" for thing in things}
    assert max(times.values()) <= 2  # with the window that was broken, and once more: never with each attempt

    await may_publish(world, "thing\\.made", "thing\\.sold")
    assert await world.sold() == [f"thing.sold/{things[0].id}"]
    running.cancel()


async def test_a_refused_routing_key_is_published_separately_afterwards(
    world: World, publisher: Publisher
) -> None:
    await may_publish(world, "thing\\.made")
    sold = ("thing.sold", enveloped(ThingSold(id=uuid4())).to_message())
    await publisher.send("events", [sold])
    errors = await publisher.send("events", [*(fine := messages(30)), sold])
    assert [error is None for error in errors] == [True] * 30 + [False]
    assert await delivered(world) == Counter(message.message_id for _, message in fine)


@pytest.mark.parametrize("alone", [False, True])
async def test_only_the_message_with_another_user_is_refused(publisher: Publisher, alone: bool) -> None:
    liar = messages(1)
    liar[0][1].user_id = "somebody"
    errors = await publisher.send("events", liar if alone else [*messages(10), *liar, *messages(10)])
    refused = [error for error in errors if error is not None]
    assert len(errors) - len(refused) == (0 if alone else 20)
    assert [type(error).__name__ for error in refused] == ["ChannelPreconditionFailed"]
    assert is_refused(refused[0])


async def test_a_missing_exchange_refuses_every_message(publisher: Publisher, world: World) -> None:
    there, gone = Publisher(publisher._connection, window=9, timeout=5), "amq.nowhere"
    errors = await there.send(gone, messages(3))
    assert all(error is not None and is_refused(error) for error in errors)
    assert await there.send("events", messages(2)) == [None, None]


async def test_only_the_unroutable_message_is_returned(world: World, publisher: Publisher) -> None:
    unroutable = ("thing.paid", enveloped(ThingMade(id=uuid4())).to_message())
    await world.onlooker.unbind("events", "thing.paid")
    errors = await publisher.send("events", [*messages(5), unroutable, *messages(5)])
    assert [i for i, error in enumerate(errors) if error is not None] == [5]
    [refusal] = filter(None, errors)
    assert is_refused(refusal)


async def test_a_full_queue_refuses_messages_and_loses_none(world: World, publisher: Publisher) -> None:
    async with world.broker.management() as api:
        full = {"max-length": 3, "overflow": "reject-publish", "delivery-limit": 9}
        policy = {"pattern": "^seller$", "apply-to": "queues", "definition": full, "priority": 9}
        await api.put("policies", world.broker.vhost, "full", body=policy)
        await takes_effect(publisher)
    errors = await publisher.send("events", more := messages(3))
    assert all(error is not None and is_refused(error) for error in errors)
    kept = await delivered(world)
    assert not any(message.message_id in kept for _, message in more)


async def takes_effect(publisher: Publisher) -> None:
    async with asyncio.timeout(30):
        while await publisher.send("events", messages(1)) == [None]:
            await asyncio.sleep(0.02)


async def test_only_the_message_that_cannot_be_encoded_is_refused(publisher: Publisher) -> None:
    bad = messages(1)
    bad[0][1].headers["far"] = 2**70
    errors = await publisher.send("events", [*messages(2), *bad, *messages(2)])
    assert [i for i, error in enumerate(errors) if error is not None] == [2]
    [refusal] = filter(None, errors)
    assert is_refused(refusal)


def test_an_outage_is_no_refusal() -> None:
    gone = aio_pika.exceptions.ConnectionClosed(320, "CONNECTION_FORCED")
    for error in (TimeoutError(), ConnectionResetError(), asyncio.CancelledError(), gone):
        assert not is_refused(error)


async def test_a_row_waits_longer_each_time_but_never_longer_than_the_longest(world: World) -> None:
    """The delays that the SQL statement sets."""
    from chassis.storage import outbox

    async with world.transactions(lease=0)() as tx:
        tx.publish(ThingMade(id=uuid4()))
    waits = []
    async with world.engine.begin() as connection:
        for _ in range(40):
            id_ = (await connection.execute(text("SELECT message_id FROM outbox"))).scalar_one()
            refused = {"ids": [id_], "errors": ["full"], "longest": 60.0}
            await connection.execute(outbox._REFUSED, refused)
            left = text("SELECT extract(epoch FROM leased_until - now()) FROM outbox")
            waits.append(float((await connection.execute(left)).scalar_one()))
    assert 0.5 <= waits[0] <= 1
    assert 2.5 <= waits[4] <= 5.1
    assert all(30 <= wait <= 60 for wait in waits[20:])


def test_a_participant_publishes_what_its_steps_and_outcomes_declare() -> None:
    assert selling().published_keys() == ["thing.made", "thing.paid", "thing.sold"]
