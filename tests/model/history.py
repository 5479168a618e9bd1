"""A broken promise told: the shortest history that breaks it, drawn as sagas are."""

from collections.abc import Iterator
from uuid import UUID

from rich.console import Group
from rich.table import Table
from rich.text import Text

from chassis.saga.tx import Event
from chassis.testing import Published
from shop.diagram import LANES, mark
from tests.model.explore import Violation
from tests.model.world import Move, World

_HAPPENS = {
    "hear": "{who} hears {what}",
    "hear again": "{who} hears {what} once more, its inbox has forgotten it",
    "hear a lie": "{who} hears {what}",
    "crash before commit": "{who} hears {what}, crashes before it commits",
    "crash after commit": "{who} hears {what}, commits, crashes",
    "publish": "{what} is published",
    "publish twice": "{what} is published, a crash keeps it in the outbox",
    "lose": "{what} is lost on its way to {who}",
    "call": "the answer to {what}",
    "lose answer": "{what} is done, its answer is lost",
    "settle": "{who} notes {what}",
    "a day passes": "a day passes without an outcome of {what}",
    "cancel": "the shopper cancels {what}",
    "confirm": "the shopper confirms {what} with her bank",
    "refuse": "the shopper refuses {what} at her bank's page",
    "expire": "the deadline passes {what}",
}


def told(world: World, violation: Violation) -> Group:
    """What is broken, and step by step how it came to that, with what was said in the lane of who said it."""
    lanes = sorted({automaton.name for automaton in world.automata}, key=_place)
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
    pattern = _HAPPENS.get(move.kind, "{who}: {kind} {what}")
    return pattern.format(who=who, kind=move.kind, what=_what(world, move)).strip()


def _what(world: World, move: Move) -> str:
    match move.what:
        case int(number):
            event = world.events[number]
            return f"{event.type}{_of(world, event.about)}"
        case Published(user_id=login, headers=headers):
            claimed = headers["cloudEvents:id"], headers["cloudEvents:source"].removeprefix("/")
            return f"{move.what.routing_key} of {login or 'somebody'} as {claimed[0]} from {claimed[1]}"
        case str(key), outcome:
            call, _, order_id = key.partition(":")
            how = outcome if isinstance(outcome, str) else type(outcome).__name__.lower()
            return call + _of(world, UUID(order_id)) + ("" if outcome is None else f": {how}")
    return _of(world, world.automata[move.who].about).strip()


def _of(world: World, about: UUID | None) -> str:
    """Which order it is about, where there are several."""
    orders = sorted({event.about for event in world.said(world.start)})
    return f" of order {orders.index(about) + 1}" if about in orders and len(orders) > 1 else ""


def _place(lane: str) -> int:
    return LANES.index(lane) if lane in LANES else len(LANES)


def _cells(lanes: list[str], speaker: str, said: set[Event]) -> Iterator[Text]:
    for lane in lanes:
        if lane != speaker:
            yield Text("│", "dim")
        elif said:
            yield Text("\n").join(mark(kind) for kind in sorted(event.type for event in said))
        else:
            yield Text("○", "dim")
