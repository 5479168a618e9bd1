from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest

from chassis.saga.intents import Intents
from chassis.saga.steps import Steps
from chassis.saga.tx import Intent, Tx
from chassis.testing import Harness, Undeclared

from ..things import ThingMade, ThingSold


@dataclass(eq=False)
class Shelf:
    id: UUID
    things: int


def shop(*, declared: bool = True, broken: bool = False) -> Harness:
    steps, intents = Steps("seller"), Intents()

    @steps.on(ThingMade, publishes=[ThingSold] if declared else [])
    async def put_on_shelf(event: ThingMade, tx: Tx) -> None:
        shelf = await tx.get(Shelf, event.id)
        if shelf is None:
            tx.add(Shelf(event.id, 1))
        else:
            shelf.things += 1
        tx.intend(Intent("charge", event.id))
        if broken:
            raise RuntimeError
        tx.publish(ThingSold(id=event.id))

    @intents.on_outcome("charge")
    async def note(intent: Intent, outcome: int, tx: Tx) -> None:
        shelf = await tx.get(Shelf, intent.subject)
        assert shelf is not None
        shelf.things = outcome

    return Harness(steps, intents=intents)


def things(harness: Harness, id_: UUID) -> int:
    shelf = harness.row(Shelf, id_)
    assert shelf is not None
    return shelf.things


async def test_a_step_changes_rows_and_publishes() -> None:
    harness, made = shop(), ThingMade(id=uuid4())
    harness.put(Shelf(made.id, 4))
    await harness.consume(made)
    assert things(harness, made.id) == 5
    assert harness.published == [ThingSold(id=made.id)]


async def test_a_repeat_changes_nothing() -> None:
    harness, made = shop(), ThingMade(id=uuid4())
    await harness.consume(made, made)
    assert things(harness, made.id) == 1


async def test_a_step_that_fails_leaves_nothing_behind() -> None:
    harness, made = shop(broken=True), ThingMade(id=uuid4())
    with pytest.raises(RuntimeError):
        await harness.consume(made)
    assert harness.row(Shelf, made.id) is None
    assert (harness.published, harness.intended, harness.inbox) == ([], {}, set())


async def test_a_step_may_publish_only_declared_events() -> None:
    with pytest.raises(Undeclared, match=r"put_on_shelf publishes thing\.sold"):
        await shop(declared=False).consume(ThingMade(id=uuid4()))


async def test_the_outcome_of_a_call_is_settled_once() -> None:
    harness, made = shop(), ThingMade(id=uuid4())
    await harness.consume(made)
    await harness.settle("charge", made.id, 9)
    assert things(harness, made.id) == 9
    with pytest.raises(KeyError):
        await harness.settle("charge", made.id, 10)


async def test_a_crash_before_the_commit_leaves_nothing_behind() -> None:
    harness, made = shop(), ThingMade(id=uuid4())
    harness.put(Shelf(made.id, 4))
    await harness.crash_on(made)
    assert things(harness, made.id) == 4
    assert (harness.published, harness.intended, harness.inbox) == ([], {}, set())


async def test_a_fork_does_not_change_the_original() -> None:
    harness, made = shop(), ThingMade(id=uuid4())
    harness.put(Shelf(made.id, 4))
    fork = harness.fork()
    await fork.consume(made)
    assert (things(fork, made.id), things(harness, made.id)) == (5, 4)
    assert (harness.published, harness.intended, harness.inbox) == ([], {}, set())
    await harness.consume(made)
    assert things(harness, made.id) == 5


async def test_work_without_an_event_commits_like_a_step() -> None:
    harness, made = shop(), ThingMade(id=uuid4())

    async def take_stock(tx: Tx) -> None:
        tx.add(Shelf(made.id, 7))
        tx.publish(ThingSold(id=made.id))

    await harness.run(take_stock, publishes=[ThingSold])
    assert things(harness, made.id) == 7
    assert harness.published == [ThingSold(id=made.id)]
    with pytest.raises(Undeclared, match=r"take_stock_again publishes thing\.sold"):
        await harness.fork().run(take_stock_again)


async def take_stock_again(tx: Tx) -> None:
    tx.publish(ThingSold(id=uuid4()))
