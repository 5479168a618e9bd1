"""Whatever comes in whatever order, twice, late or never, and whoever crashes: the promises are kept."""

from collections.abc import Hashable
from io import StringIO
from uuid import UUID

import pytest
from rich.console import Console

from tests.fuzz.events import QUEUES
from tests.model import history
from tests.model.core import Core, Shop
from tests.model.explore import Violation, explore
from tests.model.neighbours import believed, lies
from tests.model.promises import Promises
from tests.model.shops import FICKLE, ONE_ORDER, PATIENT, SHOPS, Result, search
from tests.model.tabs import Tabs
from tests.model.world import State, World


def drawn(violation: tuple[World, Violation] | None) -> str:
    console = Console(file=StringIO(), width=110)
    if violation is not None:
        console.print(history.told(*violation))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.mark.timeout(600)
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
    """Payment intends the capture, then hears of the cancellation before anybody has called."""
    core = Core(Shop("the capture wins"))
    promises = Promises(core)
    raced = []

    def look(state: State) -> str | None:
        seen = core.seen(state, 0)
        if seen.payment.state == "refunded" and "order.paid" not in {one.type for one in core.said(state)}:
            raced.append(seen)
        return promises.at_the_end(state)

    assert explore(core, promises.always, look).violation is None
    assert raced, "the capture may win against the void"
    assert {(one.order.status, one.taken - one.given_back) for one in raced} == {("cancelled", 0)}


@pytest.mark.parametrize("queue", QUEUES)
def test_a_hostile_neighbour_lies_to_every_queue_and_is_believed_by_none(queue: str) -> None:
    """So it has nothing to explore there; seeded faults show what comes of being believed."""
    told = list(lies(QUEUES[queue], [UUID(int=1)]))
    assert len({(lie.headers["cloudEvents:id"], lie.headers["cloudEvents:source"]) for lie in told}) > 10
    assert {lie.user_id is None for lie in told} == {True, False}
    assert believed(QUEUES[queue], [UUID(int=1)]) == []


def test_leaving_out_copies_and_outboxes_loses_no_state() -> None:
    """What the services, the provider and everybody who listens can come to is the same with and without."""
    reached = []
    for copies in (False, True):
        core = Core(Shop("out of stock", stock={"A": 0}, cancels=False, copies=copies))
        promises = Promises(core)
        explored = explore(core, promises.always, promises.at_the_end)
        assert explored.violation is None
        reached.append({_visible(core, state) for state in explored.states})
    assert reached[0] == reached[1]


def _visible(core: Core, state: State) -> Hashable:
    committed = tuple(one[at].committed for one, at in zip(core.automata, state, strict=False))
    return committed, repr(core.seen(state, 0).books), frozenset(core.said(state))
