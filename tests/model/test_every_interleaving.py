"""In whatever sequence messages come, twice, late or never, and wherever a process crashes: promises are
kept."""

from collections.abc import Hashable
from io import StringIO
from uuid import UUID

import pytest
from rich.console import Console

from tests.fuzz.events import QUEUES
from tests.model import history
from tests.model.explore import Violation, explore
from tests.model.forged_events import accepted, forged
from tests.model.promises import Promises
from tests.model.saga_world import SagaWorld, Shop
from tests.model.shops import FICKLE, ONE_ORDER, PATIENT, SHOPS, Result, search
from tests.model.tabs import Tabs
from tests.model.world import State, World


def drawn(violation: tuple[World, Violation] | None) -> str:
    console = Console(file=StringIO(), width=110)
    if violation is not None:
        console.print(history.draw(*violation))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    "shop", [*(shop for shop in SHOPS if shop is not FICKLE), PATIENT], ids=lambda shop: shop.name
)
def test_no_promise_is_broken(shop: Shop | Tabs) -> None:
    result: Result = search(shop)
    assert result.violation is None, drawn(result.violation)
    assert result.final > 0


def test_an_order_ends_in_each_way_that_there_is() -> None:
    assert search(ONE_ORDER[0]).ends.keys() == {"paid", "cancelled", "refunded"}


def test_a_cancellation_that_waits_beside_the_captures_trigger_may_lose_the_race_and_costs_nothing() -> None:
    """Payment intends the capture, then the cancellation comes before the call is made."""
    world = SagaWorld(Shop("the capture wins"))
    promises = Promises(world)
    raced = []

    def check(state: State) -> str | None:
        snapshot = world.snapshot(state, 0)
        if snapshot.payment.state == "refunded" and "order.paid" not in {
            one.type for one in world.published(state)
        }:
            raced.append(snapshot)
        return promises.at_the_end(state)

    assert explore(world, promises.always, check).violation is None
    assert raced, "the capture may win against the void"
    assert {(one.order.status, one.taken - one.given_back) for one in raced} == {("cancelled", 0)}


@pytest.mark.parametrize("queue", QUEUES)
def test_no_queue_accepts_a_forged_event(queue: str) -> None:
    """So there is nothing to explore; seeded faults show what an accepted one would break."""
    forgeries = list(forged(QUEUES[queue], [UUID(int=1)]))
    assert (
        len(
            {
                (forged_event.headers["cloudEvents:id"], forged_event.headers["cloudEvents:source"])
                for forged_event in forgeries
            }
        )
        > 10
    )
    assert {forged_event.user_id is None for forged_event in forgeries} == {True, False}
    assert accepted(QUEUES[queue], [UUID(int=1)]) == []


def test_leaving_out_copies_and_outboxes_loses_no_state() -> None:
    """What the services, the provider and all consumers can come to is the same with and without."""
    reached = []
    for copies in (False, True):
        world = SagaWorld(Shop("out of stock", stock={"A": 0}, cancels=False, copies=copies))
        promises = Promises(world)
        explored = explore(world, promises.always, promises.at_the_end)
        assert explored.violation is None
        reached.append({_visible(world, state) for state in explored.states})
    assert reached[0] == reached[1]


def _visible(world: SagaWorld, state: State) -> Hashable:
    committed = tuple(one[at].committed for one, at in zip(world.actors, state, strict=False))
    return committed, repr(world.snapshot(state, 0).ledger), frozenset(world.published(state))
