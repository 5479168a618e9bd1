"""Breadth-first through all that may happen, until no state is left that was not visited."""

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from tests.model.world import Move, State

Check = Callable[[State], str | None]
Note = Callable[[int, int], None]


def fine(_: State) -> str | None:
    """No promise to keep."""
    return None


class Explorable(Protocol):
    start: State

    def moves(self, state: State) -> Iterator[tuple[Move, State]]: ...

    def is_fair(self, move: Move) -> bool: ...


@dataclass(frozen=True)
class Violation:
    """A promise that is broken, and the shortest history that breaks it: each move and the state after it."""

    broken: str
    history: tuple[tuple[Move, State], ...]


@dataclass
class Explored:
    """What there is: `final` are the states in which nothing is left that is bound to happen."""

    states: list[State]
    transitions: int = 0
    final: list[State] = field(default_factory=list)
    violation: Violation | None = None


def explore(world: Explorable, always: Check, at_the_end: Check, note: Note | None = None) -> Explored:
    """Visit every state. `always` checks each, `at_the_end` the final ones; both return what is broken.

    Whatever the accidents, an end is reached: in no state but the final ones is there nothing that is bound
    to happen, and what is bound to happen never leads in a circle.
    """
    numbers = {world.start: 0}
    found = Explored([world.start])
    parents, fair, ends = array("l", [-1]), array("l"), array("l")
    for number, state in enumerate(found.states):
        broken = always(state)
        before = len(fair)
        for move, after in world.moves(state) if broken is None else ():
            found.transitions += 1
            seen = numbers.setdefault(after, len(found.states))
            if seen == len(found.states):
                found.states.append(after)
                parents.append(number)
            if world.is_fair(move):
                fair.append(seen)
        ends.append(len(fair))
        if broken is None and len(fair) == before:
            found.final.append(state)
            broken = at_the_end(state)
        if broken is not None:
            found.violation = Violation(broken, tuple(_history(world, found.states, parents, number)))
            return found
        if note is not None and number % 5000 == 0:
            note(number, len(found.states))
    circle = _circle(fair, ends)
    if circle is not None:
        history = tuple(_history(world, found.states, parents, circle))
        found.violation = Violation("what is bound to happen goes round in a circle", history)
    return found


def _history(
    world: Explorable, states: list[State], parents: "array[int]", number: int
) -> list[tuple[Move, State]]:
    steps = []
    while parents[number] >= 0:
        before, after = states[parents[number]], states[number]
        steps.append(next((move, state) for move, state in world.moves(before) if state == after))
        number = parents[number]
    return steps[::-1]


def _circle(fair: "array[int]", ends: "array[int]") -> int | None:
    """A state on or behind a circle of fair moves: one that is left when all that none leads to are gone."""
    incoming = array("l", bytes(8 * len(ends)))
    for target in fair:
        incoming[target] += 1
    free = [number for number, count in enumerate(incoming) if not count]
    for number in free:
        for target in fair[ends[number - 1] if number else 0 : ends[number]]:
            incoming[target] -= 1
            if not incoming[target]:
                free.append(target)
    return next((number for number, count in enumerate(incoming) if count), None)
