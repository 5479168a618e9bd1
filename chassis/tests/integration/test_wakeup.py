"""Processes find rows that are left to them without polling often: these poll once an hour at the latest."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from sqlalchemy import text

from chassis.runtime import wakeup
from chassis.runtime.wakeup import Notifier, Poll
from chassis.saga.intents import OutcomePending
from chassis.storage.database import Transactions

from ..things import ThingMade
from .conftest import World
from .test_intents import Remote

HOUR = 3600


@pytest.fixture(autouse=True)
def polls_once_an_hour(world: World) -> None:
    world.settings = world.settings.model_copy(update={"outbox_poll": HOUR, "role": "worker"})


@pytest.fixture
async def api(world: World) -> AsyncIterator[Transactions]:
    """Transactions of a process in the role `api`."""
    transactions = world.transactions()
    notifier = Notifier(world.engine)
    transactions.after_commit(relay=notifier, runner=notifier)
    running = asyncio.create_task(notifier.run())
    yield transactions
    running.cancel()


async def commit(api: Transactions, *made: ThingMade) -> None:
    async with api() as tx:
        tx.publish(*made)


async def polled(world: World) -> None:
    """The worker's first poll is over: it starts with one."""
    async with world.transactions(lease=0)() as tx:
        tx.publish(first := ThingMade(id=uuid4()))
    await world.start()
    assert await world.sold() == [f"thing.sold/{first.id}"]


async def listening(world: World) -> int | None:
    """The server's process of the worker's listening connection."""
    query = f"SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN %{wakeup.CHANNEL}%'"
    async with world.engine.connect() as connection:
        pid: int | None = await connection.scalar(text(query))
        return pid


async def test_an_api_s_commit_wakes_a_worker(world: World, api: Transactions, made: ThingMade) -> None:
    await polled(world)
    await world.eventually(lambda: listening(world))
    await commit(api, made)
    assert await world.sold() == [f"thing.sold/{made.id}"]


async def test_a_worker_whose_connection_broke_is_woken_again(
    world: World, api: Transactions, made: ThingMade, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeup, "_RECONNECT_SECONDS", (0.05, 0.05))
    await polled(world)
    await world.eventually(lambda: listening(world))
    async with world.engine.connect() as connection:
        await connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": await listening(world)})
    await commit(api, made)
    assert await world.sold() == [f"thing.sold/{made.id}"]


async def test_a_call_is_repeated_when_its_own_delay_is_over(world: World, on_credit: ThingMade) -> None:
    remote = Remote(OutcomePending("waits for the customer", 0.4), ConnectionError(), "yes")
    await world.start(call=remote.call)
    await world.publish(on_credit)
    assert await world.sold() == [f"thing.paid/{on_credit.id}"]


async def test_a_call_that_a_webhook_hinted_at_is_repeated_at_once(
    world: World, api: Transactions, on_credit: ThingMade
) -> None:
    remote = Remote(OutcomePending("waits for the customer", HOUR), "yes")
    await world.start(call=remote.call)
    await world.eventually(lambda: listening(world))
    await world.publish(on_credit)

    async def waits() -> bool:
        return await world.count("intent WHERE attempts > 0") == 1

    await world.eventually(waits)
    async with api() as tx:
        tx.retry_now(on_credit.id)
    assert await world.sold() == [f"thing.paid/{on_credit.id}"]


async def test_rows_of_a_process_that_died_are_found_when_their_lease_ends(
    world: World, made: ThingMade
) -> None:
    async with world.transactions(lease=0.5)() as tx:  # its relay never runs
        tx.publish(made)
    await world.start()
    assert await world.sold() == [f"thing.sold/{made.id}"]


class Rounds:
    """Counts its rounds; each answers with the next of `due`, or fails if that is an error."""

    def __init__(self, *due: float | Exception | None) -> None:
        self.due = list(due)
        self.done = asyncio.Event()

    async def __call__(self) -> float | None:
        due = self.due.pop(0)
        if not self.due:
            self.done.set()
        if isinstance(due, Exception):
            raise due
        return due


@pytest.mark.parametrize("due", [0.0, -5.0, 0.01], ids=["due", "overdue and locked", "due later"])
async def test_a_poll_looks_again_when_the_next_row_is_due(due: float) -> None:
    rounds = Rounds(due, due, None)
    running = asyncio.create_task(Poll("rows", HOUR, rounds).run())
    async with asyncio.timeout(30):
        await rounds.done.wait()
    running.cancel()


async def test_a_poll_that_failed_is_repeated() -> None:
    rounds = Rounds(OSError("away"), OSError("away"), None)
    running = asyncio.create_task(Poll("rows", 0.01, rounds).run())
    async with asyncio.timeout(30):
        await rounds.done.wait()
    running.cancel()


async def test_of_two_times_asked_for_the_earlier_one_counts() -> None:
    rounds = Rounds(None, None)
    poll = Poll("rows", HOUR, rounds)
    running = asyncio.create_task(poll.run())
    while len(rounds.due) == 2:
        await asyncio.sleep(0)
    poll.within(0.01)
    poll.within(HOUR)
    async with asyncio.timeout(30):
        await rounds.done.wait()
    running.cancel()
