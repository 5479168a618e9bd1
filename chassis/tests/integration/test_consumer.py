import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import aio_pika
import pytest
import structlog

from chassis.messaging import broker
from chassis.saga.steps import Steps
from chassis.saga.topology import EVENTS_EXCHANGE, Participant
from chassis.saga.tx import Tx
from chassis.storage.database import Transactions
from chassis.storage.outbox import envelope
from chassis.storage.tx import SqlTx

from ..things import ThingMade
from .conftest import World


async def test_an_event_is_consumed_and_its_effect_published(world: World, made: ThingMade) -> None:
    await world.start()
    await world.publish(made)
    assert await world.sold() == [f"thing.sold/{made.id}"]
    assert await world.times(made.id) == 1


async def test_logs_name_what_an_event_is_about(world: World, made: ThingMade) -> None:
    steps, named = Steps("seller"), asyncio.Queue[str]()

    class ThingTurned(type_of(world)):  # type: ignore[misc]
        @property
        def about(self) -> UUID:
            return UUID(int=7)

    @steps.on(ThingTurned)
    async def note(event: ThingTurned, tx: Tx) -> None:
        named.put_nowait(structlog.contextvars.get_contextvars()["subject"])

    world.participant = Participant("seller", steps=[steps])
    await world.start()
    await world.publish(made)
    assert await asyncio.wait_for(named.get(), 10) == str(UUID(int=7))


async def test_an_event_delivered_twice_has_its_effect_once(world: World, made: ThingMade) -> None:
    await world.publish(made, made)
    await world.start()
    await world.publish(made, other := type(made)(id=uuid4()))
    assert set(await world.sold(2)) == {f"thing.sold/{made.id}", f"thing.sold/{other.id}"}
    assert await world.times(made.id) == 1


async def test_a_step_that_fails_goes_down_the_ladder_and_then_to_the_dead_letters(world: World) -> None:
    bad = type_of(world)(id=uuid4(), note="unsellable")
    await world.start()
    await world.publish(bad)
    dead = await world.next("seller.dead")
    assert dead.message_id == f"thing.made/{bad.id}"
    stamped = {name: dead.headers[name] for name in ("failed-service", "failed-step", "error", "attempts")}
    assert stamped == {
        "failed-service": "seller",
        "failed-step": "sell",
        "error": "RuntimeError: nobody wants it",
        "attempts": 4,
    }
    assert "first-seen" in dead.headers


async def test_a_failing_message_does_not_hold_up_its_batch(world: World) -> None:
    thing = type_of(world)
    good, bad, better = thing(id=uuid4()), thing(id=uuid4(), note="unsellable"), thing(id=uuid4())
    await world.publish(good, bad, better)
    await world.start()
    assert set(await world.sold(2)) == {f"thing.sold/{good.id}", f"thing.sold/{better.id}"}
    assert (await world.next("seller.dead")).message_id == f"thing.made/{bad.id}"


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        (b"{}", {}, "not a CloudEvent"),
        (b"not json", None, "Invalid JSON"),
        (b"{}", None, "id: Field required"),
        (b'{"id": "6f6b5b1e-0000-4000-8000-000000000001"}', None, "the subject is not the event's"),
        (b"{}", {"cloudEvents:dataschema": "urn:event:thing.made:9"}, "no step for thing.made version 9"),
        (b"not json", {"CC": ["elsewhere"]}, "Invalid JSON"),
        (b"{}", {"cloudEvents:id": f"thing.made/{UUID(int=1)}"}, "the id is not its type and subject"),
    ],
)
async def test_an_unreadable_message_is_dead_lettered_at_once_with_its_reason(
    world: World, made: ThingMade, body: bytes, headers: dict[str, Any] | None, reason: str
) -> None:
    message = envelope_of(made).to_message()
    if headers is not None:
        message.headers = {**message.headers, **headers} if headers else {}
    message.body = body
    exchange = await world.channel.get_exchange(EVENTS_EXCHANGE, ensure=False)
    await exchange.publish(message, "thing.made")
    await world.publish(made)
    await world.start()
    dead = await world.next("seller.dead")
    assert reason in str(dead.headers["error"])
    assert dead.body == body
    assert await world.sold() == [f"thing.sold/{made.id}"]


async def test_an_event_is_consumed_only_as_a_type_that_its_sender_may_publish(
    world: World, made: ThingMade
) -> None:
    """A sender that may publish one type could otherwise pass it off as another: by the type, or by copies,
    whose routing keys older brokers do not check."""
    await world.start()
    exchange = await world.channel.get_exchange(EVENTS_EXCHANGE, ensure=False)
    await exchange.publish(envelope_of(made).to_message(CC=["thing.made", "1s"]), "thing.sold")
    dead = await world.next("seller.dead")
    assert "published with another key than its type" in str(dead.headers["error"])
    await world.publish(other := type(made)(id=uuid4()))
    assert (await world.sold(2))[1] == f"thing.sold/{other.id}"
    assert await world.times(made.id) is None


async def test_a_forged_source_is_rejected_and_the_true_one_recorded(world: World, made: ThingMade) -> None:
    exchange = await world.channel.get_exchange(EVENTS_EXCHANGE, ensure=False)
    login = broker.login(world.broker.url)
    lie = envelope_of(made).to_message(login)
    lie.headers = {**lie.headers, "cloudEvents:source": "/maker"}
    await exchange.publish(lie, "thing.made")
    await world.start()
    dead = await world.next("seller.dead")
    assert "the source is not who published it" in str(dead.headers["error"])
    assert (dead.headers["cloudEvents:source"], dead.user_id) == (f"/{login}", None)
    assert await world.times(made.id) is None


async def test_a_source_stays_the_same_over_retries_and_into_the_dead_letters(world: World) -> None:
    bad = type_of(world)(id=uuid4(), note="unsellable")
    exchange = await world.channel.get_exchange(EVENTS_EXCHANGE, ensure=False)
    login = broker.login(world.broker.url)
    await exchange.publish(envelope_of(bad).to_message(login), "thing.made")
    await world.start()
    dead = await world.next("seller.dead")
    assert dead.headers["attempts"] == 4
    assert (dead.headers["cloudEvents:source"], dead.user_id) == (f"/{login}", None)


async def test_a_published_event_names_its_user(world: World, made: ThingMade) -> None:
    await world.start()
    await world.publish(made)
    sold = await world.next(world.onlooker)
    login = broker.login(world.broker.url)
    assert (sold.user_id, sold.headers["cloudEvents:source"]) == (login, f"/{login}")


class CrashAfterCommit(Transactions):
    """Cancels the consumer's task between the commit and the acknowledgement."""

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[SqlTx]:
        async with super().__call__() as tx:
            yield tx
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)


async def test_a_crash_between_commit_and_acknowledgement_has_no_second_effect(
    world: World, made: ThingMade
) -> None:
    crashing = CrashAfterCommit(world.engine, "seller", lease=world.settings.lease)
    await world.start(transactions=crashing)
    await world.publish(made)

    async def committed() -> bool:
        return bool(await world.times(made.id) == 1)

    await world.eventually(committed)
    await world.stop()
    await world.start()
    assert await world.sold() == [f"thing.sold/{made.id}"]
    await world.publish(last := type(made)(id=uuid4()))
    ids = await world.sold()
    while ids == [f"thing.sold/{made.id}"]:  # under way when the process stopped: it may be published again
        ids = await world.sold()
    assert ids == [f"thing.sold/{last.id}"]
    assert await world.times(made.id) == 1


async def test_consuming_continues_after_the_connection_was_lost(world: World, made: ThingMade) -> None:
    await world.start()
    await world.publish(made)
    await world.sold()
    await close_connections_of_seller(world)
    await world.publish(more := type(made)(id=uuid4()))
    assert await world.sold() == [f"thing.sold/{more.id}"]


async def test_unacknowledged_messages_are_redelivered_after_a_lost_connection(
    world: World, made: ThingMade
) -> None:
    world.settings = world.settings.model_copy(update={"consume_linger": 4})
    worker = await world.start()
    await world.publish(made)
    await close_connections_of_seller(world)
    assert await world.sold() == [f"thing.sold/{made.id}"]
    assert await world.times(made.id) == 1
    assert not worker.failed


async def test_a_missing_queue_fails_the_start(world: World) -> None:
    await (await world.channel.declare_queue("seller", passive=True)).delete(if_unused=False, if_empty=False)
    with pytest.raises(aio_pika.exceptions.ChannelNotFoundEntity):
        await world.start()


async def close_connections_of_seller(world: World) -> None:
    """Close a connection as an operator or a load balancer would."""
    async with world.broker.management() as api:

        async def ours() -> list[str]:
            found = await api.get("vhosts", world.broker.vhost, "connections")
            name = "user_provided_name"
            return [c["name"] for c in found if str(c.get(name, "")).startswith("seller ")]

        async def both_shown() -> bool:
            return len(await ours()) == 2

        await world.eventually(both_shown)
        for connection in await ours():
            await api.delete("connections", connection)


def type_of(world: World) -> Any:
    [step] = list(world.participant.steps[0])
    return step.event


def envelope_of(event: Any) -> Any:
    return envelope(event, "maker", datetime.now(UTC), None, None)


async def test_a_full_dead_letter_queue_delays_no_other_message_and_loses_nothing(
    world: World, made: ThingMade
) -> None:
    async with world.broker.management() as api:
        full = {"max-length": 1, "overflow": "reject-publish", "delivery-limit": 99}
        policy = {"pattern": "^seller\\.dead$", "apply-to": "queues", "definition": full, "priority": 9}
        await api.put("policies", world.broker.vhost, "full", body=policy)
        exchange = await world.channel.get_exchange(EVENTS_EXCHANGE, ensure=False)
        for n in range(6):
            await exchange.publish(aio_pika.Message(b"{}", message_id=f"odd {n}"), "thing.made")
        with structlog.testing.capture_logs() as lines:
            await world.start()
            await world.publish(made)
            assert await world.sold() == [f"thing.sold/{made.id}"]

            async def refused() -> bool:
                return any(line["event"] == "dead-letter queue full, retrying later" for line in lines)

            await world.eventually(refused)
        await api.delete("policies", world.broker.vhost, "full")
    assert {(await world.next("seller.dead")).message_id for _ in range(6)} == {f"odd {n}" for n in range(6)}
