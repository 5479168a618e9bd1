import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from uuid import uuid4

import structlog
from sqlalchemy import text

from chassis.saga.intents import OutcomePending
from chassis.saga.tx import Intent
from chassis.storage.database import Transactions
from chassis.storage.tx import SqlTx

from ..conftest import LogLine
from ..things import ThingMade
from .conftest import Recorder, World


class Remote:
    """A remote service that answers with the next entry of a list."""

    def __init__(self, *answers: str | BaseException) -> None:
        self.answers = list(answers)
        self.calls: list[Intent] = []

    async def call(self, intent: Intent) -> str:
        self.calls.append(intent)
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


async def test_an_intended_call_is_made_and_its_outcome_settled(world: World, on_credit: ThingMade) -> None:
    remote = Remote("yes")
    await world.start(call=remote.call)
    await world.publish(on_credit)
    assert await world.sold() == [f"thing.paid/{on_credit.id}"]
    assert remote.calls == [Intent("charge", on_credit.id, {"price": 7})]
    assert await world.times(on_credit.id) == 11
    assert await world.count("intent") == 0


async def test_a_call_with_an_unknown_outcome_is_repeated_unchanged(
    world: World, on_credit: ThingMade
) -> None:
    world.settings = world.settings.model_copy(update={"intent_longest_delay": 0.01})
    given_up_by_a_library = asyncio.CancelledError()
    remote = Remote(TimeoutError("no answer"), ConnectionError("gone"), given_up_by_a_library, "yes")
    await world.start(call=remote.call)
    await world.publish(on_credit)
    assert await world.sold() == [f"thing.paid/{on_credit.id}"]
    assert remote.calls == [Intent("charge", on_credit.id, {"price": 7})] * 4
    assert await world.times(on_credit.id) == 11


async def test_an_outcome_may_intend_the_same_call_again(world: World, on_credit: ThingMade) -> None:
    world.settings = world.settings.model_copy(update={"lease": 3600})
    remote = Remote("again", "yes")
    await world.start(call=remote.call)
    await world.publish(on_credit)
    assert await world.sold() == [f"thing.paid/{on_credit.id}"]
    assert [intent.payload["price"] for intent in remote.calls] == [7, 8]


async def test_a_crashed_process_s_intended_call_is_made_by_another(
    world: World, on_credit: ThingMade
) -> None:
    async with world.transactions(lease=0)() as tx:
        await step(world)(on_credit, tx)
    remote = Remote("yes")
    await world.start(call=remote.call)
    assert await world.sold() == [f"thing.paid/{on_credit.id}"]
    assert len(remote.calls) == 1


async def test_an_outcome_that_cannot_be_settled_does_not_hold_up_the_others(
    world: World, made: ThingMade
) -> None:
    orphan = Intent("charge", uuid4(), {})  # there is no sale to settle it on
    good = type(made)(id=uuid4(), note="on credit")
    async with world.transactions(lease=0)() as tx:
        tx.intend(orphan)
        await step(world)(good, tx)

    async def yes(_: Intent) -> str:
        return "yes"

    await world.start(call=yes)
    assert await world.sold() == [f"thing.paid/{good.id}"]

    async def noted() -> bool:
        return bool(await world.count("intent WHERE attempts > 0 AND error LIKE 'AssertionError%'") == 1)

    await world.eventually(noted)


def step(world: World) -> Any:
    [only] = list(world.participant.steps[0])
    return only.run


async def test_a_graceful_stop_settles_the_call_under_way(world: World, on_credit: ThingMade) -> None:
    called, answer = asyncio.Event(), asyncio.Event()

    async def slow(_: Intent) -> str:
        called.set()
        await answer.wait()
        return "yes"

    worker = await world.start(call=slow)
    await world.publish(on_credit)
    await asyncio.wait_for(called.wait(), 10)
    stopping = asyncio.create_task(worker.stop())
    await asyncio.sleep(0)
    answer.set()
    await stopping
    assert await world.times(on_credit.id) == 11
    assert await world.count("intent") == 0
    assert await world.sold() == [f"thing.paid/{on_credit.id}"]


async def test_retry_now_repeats_a_call_whose_outcome_is_unknown(world: World, on_credit: ThingMade) -> None:
    world.settings = world.settings.model_copy(update={"intent_longest_delay": 3600})
    remote = Remote(*[TimeoutError("no answer")] * 3, "yes")
    transactions = world.transactions()
    await world.start(transactions=transactions, call=remote.call)
    await world.publish(on_credit)
    for attempt in range(1, 4):
        await world.eventually(partial(has_tried, world, attempt))
        async with transactions() as tx:
            tx.retry_now(on_credit.id)
    assert await world.sold() == [f"thing.paid/{on_credit.id}"]
    assert remote.calls == [Intent("charge", on_credit.id, {"price": 7})] * 4


async def test_retry_now_does_not_wait_for_an_intent_that_is_being_settled(
    world: World, on_credit: ThingMade
) -> None:
    async with world.transactions(lease=0)() as tx:
        await step(world)(on_credit, tx)
    async with world.engine.begin() as settling:
        await settling.execute(text("UPDATE intent SET attempts = 1"))
        async with asyncio.timeout(5), world.transactions()() as tx:
            tx.retry_now(on_credit.id)


async def has_tried(world: World, attempts: int) -> bool:
    async with world.engine.connect() as connection:
        found = (await connection.execute(text("SELECT attempts FROM intent"))).scalar()
    return found is not None and found >= attempts


async def test_a_call_that_takes_longer_than_its_lease_is_made_once(
    world: World, on_credit: ThingMade
) -> None:
    world.settings = world.settings.model_copy(update={"lease": 0.3})
    called: list[Intent] = []

    async def slow(intent: Intent) -> str:
        called.append(intent)
        await asyncio.sleep(1.5)
        return "yes"

    await world.start(call=slow)
    await world.start(call=slow)
    await world.publish(on_credit)
    assert await world.sold() == [f"thing.paid/{on_credit.id}"]
    assert len(called) == 1


async def test_a_killed_process_s_call_is_repeated_after_its_lease(
    world: World, on_credit: ThingMade
) -> None:
    world.settings = world.settings.model_copy(update={"lease": 0.5})
    called = asyncio.Event()

    async def never(_: Intent) -> str:
        called.set()
        await asyncio.Event().wait()
        return "no"

    killed = await world.start(call=never)
    await world.publish(on_credit)
    await asyncio.wait_for(called.wait(), 10)
    for task in killed._tasks:
        task.cancel()
    await world.start(call=Remote("yes").call)
    assert await world.sold() == [f"thing.paid/{on_credit.id}"]


async def test_an_outcome_whose_lease_was_lost_is_dropped(world: World, on_credit: ThingMade) -> None:
    called, answer = asyncio.Event(), asyncio.Event()

    async def slow(_: Intent) -> str:
        called.set()
        await answer.wait()
        return "mine"

    await world.start(call=slow)
    await world.publish(on_credit)
    await asyncio.wait_for(called.wait(), 10)
    async with world.engine.begin() as another:
        await another.execute(text("UPDATE intent SET holder = gen_random_uuid(), attempts = 1"))
    with structlog.testing.capture_logs() as lines:
        answer.set()

        async def dropped() -> bool:
            return any("lease was lost" in line["event"] for line in lines)

        await world.eventually(dropped)
    assert await world.count("intent WHERE attempts = 1") == 1
    assert await world.times(on_credit.id) == 1


async def test_an_outcome_is_settled_after_an_outage_of_the_database(
    world: World, on_credit: ThingMade
) -> None:
    class Away(Transactions):
        """Unavailable for a while after the call has been answered."""

        times = 3

        @asynccontextmanager
        async def __call__(self) -> AsyncIterator[SqlTx]:
            if remote.calls and self.times:
                self.times -= 1
                raise ConnectionRefusedError
            async with super().__call__() as tx:
                yield tx

    remote = Remote("yes")
    await world.start(transactions=Away(world.engine, "seller", lease=10), call=remote.call)
    await world.publish(on_credit)
    assert await world.sold() == [f"thing.paid/{on_credit.id}"]
    assert len(remote.calls) == 1


async def test_rows_without_room_in_memory_are_left_to_the_poll(world: World, made: ThingMade) -> None:
    transactions = world.transactions(lease=3600)
    full = Recorder(room=False)
    transactions.after_commit(relay=full, runner=full)
    async with transactions() as tx:
        tx.publish(made)
        tx.intend(Intent("charge", made.id, {}))
    assert not full.given
    for table in ("outbox", "intent"):
        assert await world.count(f"{table} WHERE leased_until <= now()") == 1


async def test_a_pending_outcome_is_asked_for_again_after_its_own_delay(
    world: World, on_credit: ThingMade
) -> None:
    world.settings = world.settings.model_copy(update={"intent_longest_delay": 3600})
    pending = [OutcomePending("waits for the customer", 0.01) for _ in range(8)]
    remote = Remote(*pending, "yes")
    with structlog.testing.capture_logs() as lines:
        await world.start(call=remote.call)
        await world.publish(on_credit)
        assert await world.sold() == [f"thing.paid/{on_credit.id}"]
    assert len(remote.calls) == 9
    logged = [(line["event"], line["log_level"]) for line in lines if line.get("intent")]
    assert set(logged) == {("outcome pending", "info")}


async def test_each_call_logs_its_own_trace(world: World, logged: list[LogLine]) -> None:
    calls: list[str] = []

    async def call(intent: Any) -> str:
        structlog.get_logger().info("calling", about=str(intent.subject))
        calls.append(intent.key)
        if len(calls) < 3:
            raise RuntimeError("no answer")
        return "paid"

    await world.start(call=call)
    await world.publish(ThingMade(id=uuid4(), note="on credit"), ThingMade(id=uuid4(), note="on credit"))
    await world.sold(2)
    await world.stop()
    lines = [entry for entry in logged if entry["event"] in ("calling", "outcome unknown")]
    assert len(lines) >= 5
    for entry in lines:
        assert entry["subject"] == entry.get("about", entry.get("intent", "").partition(":")[2])
    others = [entry for entry in logged if entry["event"] not in ("calling", "outcome unknown")]
    assert not [entry for entry in others if "subject" in entry]
