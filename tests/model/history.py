"""A broken promise told: the shortest history that breaks it, drawn as sagas are."""

from collections.abc import Iterator
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from chassis.event import Event
from shop.diagram import mark
from tests.model.explore import Violation
from tests.model.world import Move, World

_HAPPENS = {
    "hear": "{who} hears {what}",
    "hear again": "{who} hears {what} once more",
    "crash before commit": "{who} hears {what} and crashes before it commits",
    "crash after commit": "{who} hears {what}, commits and crashes",
    "publish": "{what} is published",
    "publish twice": "{what} is published, and kept in the outbox by a crash",
    "lose": "{what} is lost on its way to {who}",
    "call": "the answer to {what}",
    "lose answer": "{what} is done, its answer is lost",
    "settle": "{who} notes {what}",
    "a day passes": "a day passes without an outcome of {what}",
    "cancel": "the shopper cancels",
    "expire": "the deadline passes",
}


def told(world: World, violation: Violation) -> Group:
    """What is broken, and step by step how it came to that, with what was said in the lane of who said it."""
    lanes = list(dict.fromkeys(automaton.name for automaton in world.automata))
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", justify="right", style="dim", no_wrap=True)
    table.add_column("what happens")
    for lane in lanes:
        table.add_column(lane, no_wrap=True)
    before = set(world.said(world.start))
    table.add_row("0", "", *_cells(lanes, world.automata[0].name, before))
    for number, (move, state) in enumerate(violation.history, 1):
        said = set(world.said(state))
        lane = world.automata[move.who].name if move.who >= 0 else ""
        table.add_row(str(number), happens(world, move), *_cells(lanes, lane, said - before))
        before = said
    return Group(Text(f"broken: {violation.broken}", "bold red"), table)


def happens(world: World, move: Move) -> str:
    """A move in words."""
    who = world.automata[move.who].name if move.who >= 0 else ""
    pattern = _HAPPENS.get(move.kind, "{who}: {kind}")
    return pattern.format(who=who, kind=move.kind, what=_what(world, move.what))


def _what(world: World, what: Any) -> str:
    match what:
        case int():
            event = world.events[what]
            return f"{event.type}{_of(world, event)}"
        case str(key), None:
            return key.partition(":")[0]
        case str(key), outcome:
            return f"{key.partition(':')[0]}: {outcome}"
    return ""


def _of(world: World, event: Event) -> str:
    """Which order it is about, where there are several."""
    subjects = sorted({one.about for one in world.said(world.start)})
    return f" of order {subjects.index(event.about) + 1}" if len(subjects) > 1 else ""


def _cells(lanes: list[str], speaker: str, said: set[Event]) -> Iterator[Text]:
    for lane in lanes:
        spoken = [mark(event.type) for event in sorted(said, key=lambda event: event.type)]
        yield Text("\n").join(spoken) if lane == speaker and spoken else Text("│", "dim")
