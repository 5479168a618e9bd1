import asyncio
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from chassis.runtime.relay import Relay

from ..things import ThingMade
from .conftest import Recorder, World, enveloped


async def test_a_committed_event_is_published_and_deleted_from_the_outbox(
    world: World, made: ThingMade
) -> None:
    transactions = world.transactions()
    await world.start(transactions=transactions)
    async with transactions() as tx:
        tx.publish(made)
    await world.sold()
    await world.eventually(lambda: is_empty(world))


async def test_an_event_published_again_while_it_waits_is_sent_once(world: World, made: ThingMade) -> None:
    transactions = world.transactions()
    relay = Recorder()
    transactions.after_commit(relay=relay)
    for _ in range(2):
        async with transactions() as tx:
            tx.publish(made, made)
    assert [[envelope.id for envelope in events] for events in relay.given] == [[f"thing.made/{made.id}"]]
    assert await world.count("outbox") == 1


async def test_a_rolled_back_event_is_never_published(world: World, made: ThingMade) -> None:
    transactions = world.transactions()
    await world.start(transactions=transactions)
    with pytest.raises(RuntimeError):
        async with transactions() as tx:
            tx.publish(made)
            raise RuntimeError
    assert await world.count("outbox") == 0


async def test_a_crashed_process_s_rows_are_published_after_their_lease(
    world: World, made: ThingMade
) -> None:
    async with world.transactions(lease=0)() as tx:  # without a relay: as if the process had crashed here
        tx.publish(made)
    assert await world.count("outbox") == 1
    await world.start()
    assert await world.sold() == [f"thing.sold/{made.id}"]
    await world.eventually(lambda: is_empty(world))


async def test_a_leased_row_is_not_published_by_another_process(world: World, made: ThingMade) -> None:
    later = type(made)(id=uuid4())
    async with world.transactions(lease=3600)() as tx:
        tx.publish(made)
    async with world.transactions(lease=0)() as tx:
        tx.publish(later)
    await world.start()
    assert await world.sold() == [f"thing.sold/{later.id}"]

    async def only_the_leased_row_is_left() -> bool:
        async with world.engine.connect() as connection:
            left = await connection.execute(text("SELECT message_id FROM outbox"))
            return list(left.scalars()) == [f"thing.made/{made.id}"]

    await world.eventually(only_the_leased_row_is_left)


async def test_an_unroutable_event_stays_in_the_outbox_until_a_queue_is_bound(
    world: World, made: ThingMade
) -> None:
    queue = await world.channel.declare_queue("seller", passive=True)
    await queue.unbind("events", "thing.made")
    world.settings = world.settings.model_copy(update={"lease": 0.2})
    transactions = world.transactions()
    await world.start(transactions=transactions)
    async with transactions() as tx:
        tx.publish(made)
    assert await world.count("outbox") == 1
    await queue.bind("events", "thing.made")
    assert await world.sold() == [f"thing.sold/{made.id}"]
    await world.eventually(lambda: is_empty(world))


class Flaky:
    """A publisher whose first attempt has no connection."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self._away = True

    async def send(self, _: str, messages: list[tuple[str, Any]]) -> list[BaseException | None]:
        away, self._away = self._away, False
        if away:
            return [ConnectionError("away")] * len(messages)
        self.sent += [message.message_id for _, message in messages]
        return [None] * len(messages)


async def test_an_event_that_could_not_be_sent_is_retried_before_its_lease_ends(
    world: World, made: ThingMade
) -> None:
    transactions = world.transactions(lease=3600)
    publisher: Any = Flaky()
    relay = relay_of(world, publisher)
    transactions.after_commit(relay=relay)
    running = asyncio.create_task(relay.run())
    async with transactions() as tx:
        tx.publish(made)
    await world.eventually(lambda: is_empty(world))
    running.cancel()
    assert publisher.sent == [f"thing.made/{made.id}"]


async def test_a_graceful_stop_publishes_what_is_still_in_memory(world: World, made: ThingMade) -> None:
    world.settings = world.settings.model_copy(update={"consume_linger": 3600, "publish_linger": 3600})
    transactions = world.transactions()
    worker = await world.start(transactions=transactions)
    async with transactions() as tx:
        tx.publish(made)
    await worker.stop()
    assert (await world.next("seller")).message_id == f"thing.made/{made.id}"
    assert await world.count("outbox") == 0


async def is_empty(world: World) -> bool:
    return bool(await world.count("outbox") == 0)


async def test_the_relay_keeps_a_limited_number_of_events_in_memory(world: World, made: ThingMade) -> None:
    """The limits are a number and a size. Events that wait too long are left to the poll and free their
    room."""
    relay = relay_of(world, Flaky())
    events = [enveloped(type(made)(id=uuid4())) for _ in range(1_000)]
    assert relay.has_room()
    relay.wake(events)
    assert not relay.has_room()
    await relay.drain()
    assert relay.has_room()
    relay.wake([enveloped(type(made)(id=uuid4(), note="x" * 17 * 1024 * 1024))])
    assert not relay.has_room()
    relay._publish_within = -1  # as if it had waited for longer than its lease
    await relay.drain()
    assert relay.has_room()


def relay_of(world: World, publisher: Any) -> Relay:
    limits = {"lease": 3600, "publish_linger": 0, "publish_window": 9, "refused_longest_delay": 0.1}
    return Relay(world.engine, publisher, "seller", world.settings.model_copy(update=limits))
