"""Draws a broken promise: the shortest history that breaks it, like the diagram of a saga."""

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
    "deliver": "{who} handles {what}",
    "redeliver": "{who} handles {what} once more, its inbox has forgotten it",
    "deliver forged": "{who} handles {what}",
    "crash before commit": "{who} handles {what}, crashes before it commits",
    "crash after commit": "{who} handles {what}, commits, crashes",
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


def draw(world: World, violation: Violation) -> Group:
    """What is broken, and step by step how it came to that, with the events in the lane of their
    publisher."""
    lanes = sorted({actor.name for actor in world.actors}, key=_position)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", justify="right", style="dim", no_wrap=True)
    table.add_column("what happens")
    for lane in lanes:
        table.add_column(lane, no_wrap=True)
    before = set(world.published(world.start))
    table.add_row("0", "", *_cells(lanes, world.actors[0].name, before))
    for number, (move, state) in enumerate(violation.history, 1):
        published = set(world.published(state))
        lane = world.actors[move.who].name if move.who >= 0 else ""
        table.add_row(str(number), describe(world, move), *_cells(lanes, lane, published - before))
        before = published
    return Group(Text(f"broken: {violation.broken}", "bold red"), table)


def describe(world: World, move: Move) -> str:
    """A move in words."""
    who = world.actors[move.who].name if move.who >= 0 else ""
    pattern = _HAPPENS.get(move.kind, "{who}: {kind} {what}")
    return pattern.format(who=who, kind=move.kind, what=_what(world, move)).strip()


def _what(world: World, move: Move) -> str:
    match move.what:
        case int(number):
            event = world.events[number]
            return f"{event.type}{_of(world, event.about)}"
        case Published(user_id=login, headers=headers):
            claimed = headers["cloudEvents:id"], headers["cloudEvents:source"].removeprefix("/")
            return (
                f"{move.what.routing_key} of {login or 'an unknown user'} as {claimed[0]} from {claimed[1]}"
            )
        case str(key), outcome:
            call, _, order_id = key.partition(":")
            how = outcome if isinstance(outcome, str) else type(outcome).__name__.lower()
            return call + _of(world, UUID(order_id)) + ("" if outcome is None else f": {how}")
    return _of(world, world.actors[move.who].about).strip()


def _of(world: World, about: UUID | None) -> str:
    """Which order it is about, where there are several."""
    orders = sorted({event.about for event in world.published(world.start)})
    return f" of order {orders.index(about) + 1}" if about in orders and len(orders) > 1 else ""


def _position(lane: str) -> int:
    return LANES.index(lane) if lane in LANES else len(LANES)


def _cells(lanes: list[str], speaker: str, published: set[Event]) -> Iterator[Text]:
    for lane in lanes:
        if lane != speaker:
            yield Text("│", "dim")
        elif published:
            yield Text("\n").join(mark(kind) for kind in sorted(event.type for event in published))
        else:
            yield Text("○", "dim")
