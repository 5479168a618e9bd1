"""The plan of faults: a function of the seed, complete in two minutes, one fault of each target at a time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.chaos.plan import Fault, chosen, draw, kinds
from shop.errors import ShopError

seeds = st.integers(0, 2**32)


@given(seeds)
def test_the_same_seed_draws_the_same_plan(seed: int) -> None:
    assert draw(seed, 120, kinds()) == draw(seed, 120, kinds())


def test_another_seed_draws_another_plan() -> None:
    assert draw(1, 120, kinds()) != draw(2, 120, kinds())


@given(seeds)
def test_every_kind_happens_within_two_minutes(seed: int) -> None:
    assert {fault.kind for fault in draw(seed, 120, kinds())} == set(kinds())


@given(seeds)
def test_every_kind_happens_within_two_minutes_on_a_cluster_of_copies(seed: int) -> None:
    known = kinds(brokers=3, replicas=2)
    assert {fault.kind for fault in draw(seed, 120, known)} == set(known)


@given(seeds, st.floats(10, 600))
def test_all_faults_are_over_in_time_and_no_target_has_two_at_once(seed: int, seconds: float) -> None:
    until: dict[str, float] = {}
    for fault in draw(seed, seconds, kinds()):
        assert fault.at + fault.seconds <= seconds + 0.2
        assert fault.at + 0.2 >= until.get(fault.target, 0)
        until[fault.target] = fault.at + fault.seconds


def test_a_minute_has_most_kinds() -> None:
    assert len({fault.kind for fault in draw(1, 75, kinds())}) > len(kinds()) / 2


def test_faults_are_chosen_by_family_or_name() -> None:
    assert set(chosen(["kill", "stall-broker"], kinds())) == {
        "kill-service",
        "kill-broker",
        "kill-database",
        "kill-provider",
        "kill-mailbox",
        "kill-gateway",
        "stall-broker",
    }
    assert chosen([], kinds()) == kinds()


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(ShopError, match="kil: choose from away, broker, cut"):
        chosen(["kil"], kinds())


def test_a_fault_is_printed_with_its_target_and_duration() -> None:
    assert str(Fault(3, "stall-broker", "order", 4.4)) == "stall-broker order for 4 s"
    assert str(Fault(3, "kill-broker", "rabbitmq", 0)) == "kill-broker rabbitmq"
