"""What is too large to exhaust: many orders for several products, whose stock is adjusted meanwhile. Banks
ask shoppers to confirm, orders are fulfilled, returned and refunded in part, others refund at the provider,
refunds come back, and banks dispute what was paid."""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

import product.domain
from tests.model import history, provider_ledger, returns
from tests.model.promises import Promises
from tests.model.provider import ProviderFaults
from tests.model.provider_ledger import LaterEvents
from tests.model.saga_world import SagaWorld, Shop
from tests.model.world import Move, State

SHOP = Shop(
    "many orders",
    orders=({"A": 1}, {"A": 2, "B": 1}, {"B": 1}, {"A": 1, "B": 2, "C": 1}, {"C": 3}, {"A": 1}),
    stock={"A": 3, "B": 2, "C": 3},
    provider=ProviderFaults(
        declines=frozenset({"authorize", "capture"}),
        refusals=1,
        loses=True,
        breaks=True,
        asks=True,
        later=LaterEvents(refunds=(200,), bounces=1, disputes=True, apart=True),
    ),
    adjusts=True,
    returns=returns.OPTIONAL,
)
GIVE_UP = ("expire", "give up")  # time passes by itself, too, but then few orders would ever be paid
LATER = {
    *provider_ledger.OPTIONAL,
    provider_ledger.WON,
    provider_ledger.LOST,
    *returns.OPTIONAL,
    "confirm",
    "refuse",
}
BOUNDED = settings(
    max_examples=20,
    stateful_step_count=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


class ManyOrders(RuleBasedStateMachine):
    """Any move that is possible happens, one after the other; then all that are bound to. Few of the possible
    moves are optional, and nothing follows later for what was never paid: so optional moves, and those that
    are bound to happen, have rules of their own."""

    world = SagaWorld(SHOP)
    promises = Promises(world)

    def __init__(self) -> None:
        super().__init__()
        self.state = self.world.start

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        self._happen(data, list(self.world.moves(self.state)))

    @rule(data=st.data())
    def somebody_does_something(self, data: st.DataObject) -> None:
        moves = [one for one in self.world.moves(self.state) if one[0].kind in LATER]
        kinds = sorted({move.kind for move, _ in moves})
        if kinds:
            kind = data.draw(st.sampled_from(kinds))
            self._happen(data, [one for one in moves if one[0].kind == kind])

    @rule(data=st.data(), times=st.integers(5, 25))
    def things_go_on(self, data: st.DataObject, times: int) -> None:
        for _ in range(times):
            fair = [one for one in self.world.moves(self.state) if self.world.is_fair(one[0])]
            self._happen(data, [one for one in fair if one[0].kind not in GIVE_UP])
            self.no_rule_is_broken()

    def _happen(self, data: st.DataObject, moves: list[tuple[Move, State]]) -> None:
        if moves:
            move, self.state = moves[data.draw(st.integers(0, len(moves) - 1))]
            data.draw(st.just(history.describe(self.world, move)))  # for the report of a failure

    @invariant()
    def no_rule_is_broken(self) -> None:
        assert self.promises.always(self.state) is None

    def teardown(self) -> None:
        while True:
            fair = (after for move, after in self.world.moves(self.state) if self.world.is_fair(move))
            after = next(fair, None)
            if after is None:
                break
            self.state = after
            self.no_rule_is_broken()
        assert self.promises.at_the_end(self.state) is None


ManyOrders.TestCase.settings = BOUNDED
TestManyOrders = ManyOrders.TestCase


def test_an_oversold_piece_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product.domain, "_short", lambda wanted, stocks: ())

    class Overselling(ManyOrders):
        world = SagaWorld(SHOP)
        promises = Promises(world)

    with pytest.raises(AssertionError, match="stock-adds-up"):
        run_state_machine_as_test(Overselling, settings=settings(BOUNDED, phases=[Phase.generate]))
