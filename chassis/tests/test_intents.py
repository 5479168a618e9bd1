import asyncio
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from chassis.tx import Intent


class Remote:
    """Somebody far away who answers with what is next in line."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[Intent] = []

    async def call(self, intent: Intent) -> str:
        self.asked.append(intent)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def on_credit(made: Any) -> Any:
    return type(made)(id=made.id, note="on credit")


async def test_an_intended_call_is_made_and_its_outcome_settled(world: Any, on_credit: Any) -> None:
    remote = Remote("yes")
    await world.start(call=remote.call)
    await world.tell(on_credit)
    assert await world.sold() == [f"thing.paid/{on_credit.id}"]
    assert remote.asked == [Intent("charge", on_credit.id, {"price": 7})]
    assert await world.times(on_credit.id) == 11
    assert await world.count("intent") == 0


async def test_an_unknown_outcome_is_asked_for_again_with_the_same_call(world: Any, on_credit: Any) -> None:
    world.settings = world.settings.model_copy(update={"intent_longest_delay": 0.01})
    remote = Remote(TimeoutError("no answer"), ConnectionError("gone"), "yes")
    await world.start(call=remote.call)
    await world.tell(on_credit)
    assert await world.sold() == [f"thing.paid/{on_credit.id}"]
    assert remote.asked == [Intent("charge", on_credit.id, {"price": 7})] * 3
    assert await world.times(on_credit.id) == 11


async def test_a_call_that_a_dead_process_intended_is_made_by_another(world: Any, on_credit: Any) -> None:
    async with world.transactions(lease=0)() as tx:
        await step(world)(on_credit, tx)
    remote = Remote("yes")
    await world.start(call=remote.call)
    assert await world.sold() == [f"thing.paid/{on_credit.id}"]
    assert len(remote.asked) == 1


async def test_an_outcome_that_cannot_be_settled_does_not_hold_up_the_others(world: Any, made: Any) -> None:
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


def step(world: Any) -> Any:
    [only] = list(world.participant.steps[0])
    return only.run


async def test_a_graceful_stop_settles_the_call_in_the_air(world: Any, on_credit: Any) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def slow(_: Intent) -> str:
        asked.set()
        await answer.wait()
        return "yes"

    worker = await world.start(call=slow)
    await world.tell(on_credit)
    await asyncio.wait_for(asked.wait(), 10)
    stopping = asyncio.create_task(worker.stop())
    await asyncio.sleep(0)
    answer.set()
    await stopping
    assert await world.times(on_credit.id) == 11
    assert await world.count("intent") == 0
    assert await world.sold() == [f"thing.paid/{on_credit.id}"]


async def test_a_call_whose_outcome_is_unknown_is_hastened(world: Any, on_credit: Any) -> None:
    world.settings = world.settings.model_copy(update={"intent_longest_delay": 3600})
    remote = Remote(*[TimeoutError("no answer")] * 3, "yes")
    transactions = world.transactions()
    await world.start(transactions=transactions, call=remote.call)
    await world.tell(on_credit)
    for attempt in range(1, 4):
        await world.eventually(lambda attempt=attempt: has_tried(world, attempt))
        async with transactions() as tx:
            tx.hasten(on_credit.id)
    assert await world.sold() == [f"thing.paid/{on_credit.id}"]
    assert remote.asked == [Intent("charge", on_credit.id, {"price": 7})] * 4


async def test_hastening_does_not_wait_for_what_is_being_settled(world: Any, on_credit: Any) -> None:
    async with world.transactions(lease=0)() as tx:
        await step(world)(on_credit, tx)
    async with world.engine.begin() as settling:
        await settling.execute(text("UPDATE intent SET attempts = 1"))
        async with asyncio.timeout(5), world.transactions()() as tx:
            tx.hasten(on_credit.id)


async def has_tried(world: Any, attempts: int) -> bool:
    async with world.engine.connect() as connection:
        found = (await connection.execute(text("SELECT attempts FROM intent"))).scalar()
    return found is not None and found >= attempts
