"""The search itself: it finds what is broken first, what is stuck, and what goes round in a circle."""

from collections.abc import Iterator, Mapping

import pytest

from tests.model.explore import Violation, explore, fine
from tests.model.world import Move, State


class Toy:
    """Goes from number to number; a move to a negative one is an accident."""

    start: State = (0,)

    def __init__(self, ways: Mapping[int, list[int]]) -> None:
        self._ways = ways

    def moves(self, state: State) -> Iterator[tuple[Move, State]]:
        for number in self._ways.get(abs(state[0]), []):
            yield Move("fair" if number >= 0 else "accident", 0, number), (abs(number),)

    def is_fair(self, move: Move) -> bool:
        return move.kind == "fair"


def path(violation: Violation | None) -> list[int]:
    assert violation is not None
    return [state[0] for _, state in violation.history]


def test_every_state_is_visited_and_the_final_ones_are_known() -> None:
    found = explore(Toy({0: [1, 2], 1: [3], 2: [3, -1]}), fine, fine)
    assert (sorted(found.states), found.final, found.transitions) == ([(0,), (1,), (2,), (3,)], [(3,)], 5)
    assert found.violation is None


def test_the_shortest_history_is_found() -> None:
    toy = Toy({0: [1, 2], 1: [4], 4: [3], 2: [3]})
    found = explore(toy, lambda state: "three" if state == (3,) else None, fine)
    assert path(found.violation) == [2, 3]


@pytest.mark.parametrize("ways", [{0: [1]}, {0: [1], 1: [-2], 2: [3]}])
def test_where_nothing_is_bound_to_happen_it_ends(ways: Mapping[int, list[int]]) -> None:
    found = explore(Toy(ways), fine, lambda state: "stuck" if state == (1,) else None)
    assert path(found.violation) == [1]


def test_what_is_bound_to_happen_must_not_go_round_in_a_circle() -> None:
    found = explore(Toy({0: [1], 1: [2, 4], 2: [3], 3: [1]}), fine, fine)
    assert found.violation is not None
    assert "circle" in found.violation.broken
    assert explore(Toy({0: [1], 1: [2], 2: [-1, 3]}), fine, fine).violation is None
