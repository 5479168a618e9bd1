"""`shop dead-letters`: inspect messages that could not be handled, and replay, edit or discard them."""

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.text import Text

from order.operations import Order
from shop import targets
from shop.audit.trail import Entry, operator
from shop.dead_letters.dead_letter import STEPS, DeadLetter
from shop.dead_letters.deliveries import MOST, Listing, find, queues_of, select
from shop.dead_letters.editing import contradictions, model_of, with_values
from shop.dead_letters.rendering import (
    document,
    render_details,
    render_difference,
    render_list,
    render_preview,
)
from shop.dead_letters.session import LIMIT, Action, DeadLetterSession
from shop.diagram import diagram
from shop.errors import ShopError
from shop.services import find_saga, open_databases
from shop.terminal import As, Commands, Json, Why, Yes, consent, counting, print_json, printable

app = Commands("Inspect dead letters; replay, edit or discard them.")

Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="[letters]...", help="Dead letters: ids as in `list`, or prefixes."),
]
Id = Annotated[
    str, typer.Argument(metavar="{letter}", help="A dead letter: its id as in `list`, or a prefix.")
]
Service = Annotated[str | None, typer.Option("--service", help="Only dead letters of this service.")]
Everything = Annotated[bool, typer.Option("--all", help="All dead letters, or all of --service.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=MOST, help="Read at most this many of each queue.")]


@app.command("list")
async def list_letters(service: Service = None, limit: Limit = LIMIT, as_json: Json = False) -> None:
    """Each dead letter with its event, order, step, reason, attempts, age, and earlier failures."""
    listing, histories = await _read(queues_of(service), limit)
    if as_json:
        dead_letters = [
            document(dead_letter, histories[dead_letter.id]) for dead_letter in listing.dead_letters
        ]
        print_json({"letters": dead_letters, "beyond": listing.beyond})
    else:
        Console().print(render_list(listing, histories))


@app.command()
async def show(dead_letter: Id, limit: Limit = LIMIT, as_json: Json = False) -> None:
    """The whole message, advice, earlier actions on it, and its order's saga."""
    listing, histories = await _read(list(STEPS), limit)
    found = find(listing, dead_letter)
    order_saga = await _saga(found)
    if as_json:
        order, events = order_saga or (None, [])
        print_json(document(found, histories[found.id]) | {"order": order, "events": events})
        return
    console = Console()
    console.print(render_details(found, histories[found.id]))
    if order_saga is not None:
        console.print()
        console.print(diagram(*order_saga))


def _act_on_selected(name: str, action: Callable[[DeadLetter], Action], help_: str) -> None:
    """Add a command with this action on each of the selected dead letters."""

    @app.command(name, help=help_)
    async def act(
        dead_letters: Ids = None,
        service: Service = None,
        everything: Everything = False,
        why: Why = None,
        yes: Yes = False,
        who: As = None,
        limit: Limit = LIMIT,
        as_json: Json = False,
    ) -> None:
        async with _acting(who, limit, as_json) as acting:
            selected = select(acting.listing, dead_letters or [], service, everything)
            await acting.do([action(dead_letter) for dead_letter in selected], why, yes)


_act_on_selected(
    "replay",
    Action.replay,
    "Publish messages unchanged to their own queue. Exits with 1 if one is no longer there.",
)
_act_on_selected(
    "discard",
    Action.discard,
    "Remove messages for good; the audit keeps them. Exits with 1 if one is no longer there.",
)


@app.command()
async def edit(
    dead_letter: Id,
    file: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="The new body.")] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="path=value, as in lines.0.quantity=2; repeatable.")
    ] = None,
    event_type: Annotated[
        str | None, typer.Option("--type", help="The event type, if the message does not name it.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also if it contradicts the order's own row.")
    ] = False,
    why: Why = None,
    yes: Yes = False,
    who: As = None,
    limit: Limit = LIMIT,
    as_json: Json = False,
) -> None:
    """Publish a message with another body, under the same id; without --file and --set, $EDITOR is opened.

    Nothing happens unless the step that consumes it can decode it. Without --force, amounts, lines,
    quantities, currency and ids may only become what the order has. Exits with 1 if the message is no
    longer there.
    """
    if file and changes:
        raise ShopError("pass --file or --set, not both")
    async with _acting(who, limit, as_json) as acting:
        found = find(acting.listing, dead_letter)
        if file or changes:
            action = Action.edit(
                found, file.read_bytes() if file else with_values(found, changes or []), event_type
            )
        else:
            action = _edited_in_editor(found, event_type)
        if action.after == found.as_published():
            raise ShopError("nothing was changed: `shop dead-letters replay` publishes it unchanged")
        assert action.after is not None
        acting.console.print(render_difference(found.as_published(), action.after))
        against = await _contradictions(found, action.after)
        if against and not force:
            raise ShopError("; ".join([*map(printable, against), "pass --force if that is intended"]))
        for sentence in against:
            acting.console.print(Text(printable(sentence), "yellow"))
        await acting.do([action], why, yes)


@dataclass(frozen=True)
class _Acting:
    """An exclusive session, with the operator's terminal."""

    session: DeadLetterSession
    listing: Listing
    finished: Sequence[Entry]
    console: Console
    as_json: bool

    async def do(self, actions: Sequence[Action], why: str | None, yes: bool) -> None:
        """Preview, ask for consent, act, report."""
        self.console.print(render_preview(actions))
        question = f"{actions[0].action.capitalize()} {len(actions)} dead letter{'s' * (len(actions) > 1)}?"
        why = consent(question, why, yes=yes, as_json=self.as_json)
        with counting(Console(stderr=True, quiet=self.as_json)) as progress:
            bar = progress.add_task(actions[0].action, total=len(actions))
            gone = await self.session.act(actions, why, lambda: progress.advance(bar))
        done = [action.dead_letter.id for action in actions if action.dead_letter not in gone]
        if self.as_json:
            print_json(
                {
                    "action": actions[0].action,
                    "done": done,
                    "gone": [dead_letter.id for dead_letter in gone],
                    "finished": [entry.id for entry in self.finished],
                }
            )
        self.print(f"{actions[0].action}: {len(done)} done; `shop audit list` shows it")
        for dead_letter in gone:
            self.print(f"{dead_letter.id} is no longer in {dead_letter.queue}.dead: nothing was done")
        if gone:
            raise typer.Exit(1)

    def print(self, line: str) -> None:
        self.console.print(printable(line), markup=False, highlight=False)


@asynccontextmanager
async def _acting(who: str | None, limit: int, as_json: bool) -> AsyncIterator[_Acting]:
    """While the operator is asked the event loop stands still: no connection to the broker is open then."""
    async with (
        DeadLetterSession.opened(targets.resolve(), operator(who), limit) as session,
        session.exclusive() as (listing, finished),
    ):
        acting = _Acting(session, listing, finished, Console(quiet=as_json), as_json)
        for entry in finished:
            acting.print(
                f"finished an interrupted {entry.action} by {entry.who}, begun at {entry.at:%H:%M:%S} UTC"
            )
        yield acting


async def _read(queues: Sequence[str], limit: int) -> tuple[Listing, dict[str, list[Entry]]]:
    async with DeadLetterSession.opened(targets.resolve(), operator(), limit) as session:
        listing = await session.peek(queues)
        return listing, await session.histories(listing.dead_letters)


async def _saga(dead_letter: DeadLetter) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
    """The order and its timeline; None if the message names no existing order."""
    if dead_letter.order_id is None:
        return None
    async with open_databases(targets.resolve()) as databases:
        try:
            return await find_saga(databases, UUID(dead_letter.order_id))
        except ShopError:
            return None


async def _contradictions(before: DeadLetter, after: DeadLetter) -> list[str]:
    """Values in the edited message that contradict the order's own row."""
    if after.order_id is None:
        return contradictions(before, after, None)
    order_id = UUID(after.order_id)
    async with open_databases(targets.resolve()) as databases:
        orders = await databases.load("order", Order, [order_id])
    return contradictions(before, after, orders.get(order_id))


def _edited_in_editor(dead_letter: DeadLetter, event_type: str | None) -> Action:
    """Raises ShopError, and keeps the text, if the step could not decode it."""
    if not sys.stdin.isatty():
        raise ShopError("stdin is not a terminal: pass --file or --set")
    model_of(dead_letter, event_type)  # fails before the editor opens
    file = Path(tempfile.mkstemp(prefix=f"letter-{dead_letter.id}-", suffix=".json")[1])
    file.write_bytes(
        dead_letter.body if dead_letter.json is None else json.dumps(dead_letter.json, indent=2).encode()
    )
    editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    if subprocess.run([*editor, str(file)], check=False).returncode:
        raise ShopError(f"{editor[0]} failed: nothing was done")
    try:
        action = Action.edit(dead_letter, file.read_bytes(), event_type)
    except ShopError as error:
        raise ShopError(f"{error}; your text is in {file}: fix it and pass it with --file") from None
    file.unlink()
    return action
