"""`shop dead-letters`: look at what no service could handle, and replay, edit or discard it."""

import asyncio
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.text import Text

from order.domain import Order
from shop import targets
from shop.audit.trail import Entry, operator
from shop.consent import consent
from shop.dead_letters.choosing import chosen, find, queues_of
from shop.dead_letters.contradictions import contradictions
from shop.dead_letters.desk import LIMIT, Deed, Desk
from shop.dead_letters.editing import changed, model_of
from shop.dead_letters.holding import MOST, Seen
from shop.dead_letters.letter import STEPS, Letter
from shop.dead_letters.telling import difference, document, listed, preview, safe, shown
from shop.diagram import diagram
from shop.errors import ShopError
from shop.progress import counting
from shop.sagas.reading import books, saga

app = typer.Typer(help="Look at dead letters; replay, edit or discard them.", no_args_is_help=True)

Ids = Annotated[list[str] | None, typer.Argument(help="Letters, as `list` names them; beginnings will do.")]
Id = Annotated[str, typer.Argument(help="A letter, as `list` names it; its beginning will do.")]
Service = Annotated[str | None, typer.Option("--service", help="Only what this service could not handle.")]
Everything = Annotated[bool, typer.Option("--all", help="All that there are, or all of --service.")]
Why = Annotated[str | None, typer.Option("--why", help="The reason, for the audit; asked for if not given.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
As = Annotated[str | None, typer.Option("--as", envvar="SHOP_OPERATOR", help="Who you are [user@host].")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=MOST, help="Look at so many of each queue.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]


@app.command("list")
def list_letters(service: Service = None, limit: Limit = LIMIT, as_json: Json = False) -> None:
    """Each letter with its event, order, step, reason, attempts and age, and whether it died before."""
    seen, histories = asyncio.run(_looked_at(queues_of(service), limit))
    if as_json:
        letters = [document(letter, histories[letter.id]) for letter in seen.letters]
        print(json.dumps({"letters": letters, "beyond": dict(seen.beyond)}, indent=2))
    else:
        Console().print(listed(seen, histories))


@app.command()
def show(letter: Id, limit: Limit = LIMIT, as_json: Json = False) -> None:
    """The whole message, what helps, what was done with it before, and its order's saga."""
    seen, histories = asyncio.run(_looked_at(list(STEPS), limit))
    found = find(seen, letter)
    story = asyncio.run(_story(found))
    if as_json:
        order, events = story or (None, [])
        print(json.dumps(document(found, histories[found.id]) | {"order": order, "events": events}, indent=2))
        return
    console = Console()
    console.print(shown(found, histories[found.id]))
    if story is not None:
        console.print()
        console.print(diagram(*story))


@app.command()
def replay(
    letters: Ids = None,
    service: Service = None,
    everything: Everything = False,
    why: Why = None,
    yes: Yes = False,
    who: As = None,
    limit: Limit = LIMIT,
    as_json: Json = False,
) -> None:
    """Give messages back to the queue that they died in, as they were. Exits with 1 when one had gone."""
    with _alone(who, limit, as_json) as place:
        deeds = [Deed.replay(one) for one in chosen(place.seen, letters or [], service, everything)]
        place.do(deeds, why, yes)


@app.command()
def discard(
    letters: Ids = None,
    service: Service = None,
    everything: Everything = False,
    why: Why = None,
    yes: Yes = False,
    who: As = None,
    limit: Limit = LIMIT,
    as_json: Json = False,
) -> None:
    """Take messages out for good; the audit keeps them. Exits with 1 when one had gone."""
    with _alone(who, limit, as_json) as place:
        deeds = [Deed.discard(one) for one in chosen(place.seen, letters or [], service, everything)]
        place.do(deeds, why, yes)


@app.command()
def edit(
    letter: Id,
    file: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="The new body.")] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="path=value, as in lines.0.quantity=2; may be repeated.")
    ] = None,
    event_type: Annotated[
        str | None, typer.Option("--type", help="What event it is, if the message does not say.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also if it says something else than the order's own row.")
    ] = False,
    why: Why = None,
    yes: Yes = False,
    who: As = None,
    limit: Limit = LIMIT,
    as_json: Json = False,
) -> None:
    """Replace a message with another body, under the same id; without --file and --set, $EDITOR is opened.

    Nothing happens unless the step that hears it can read it. Without --force, amounts, lines, quantities,
    currency and ids may only become what the order has. Exits with 1 when the message had gone.
    """
    if file and changes:
        raise ShopError("say --file or --set, not both")
    with _alone(who, limit, as_json) as place:
        found = find(place.seen, letter)
        if file or changes:
            deed = Deed.edit(found, file.read_bytes() if file else changed(found, changes or []), event_type)
        else:
            deed = _edited_by_hand(found, event_type)
        if deed.after == found.fresh():
            raise ShopError("nothing was changed: `shop dead-letters replay` publishes it as it is")
        assert deed.after is not None
        place.console.print(difference(found.fresh(), deed.after))
        against = place.runner.run(_contradictions(found, deed.after))
        if against and not force:
            raise ShopError("; ".join([*map(safe, against), "say --force if that is meant"]))
        for sentence in against:
            place.console.print(Text(safe(sentence), "yellow"))
        place.do([deed], why, yes)


@dataclass(frozen=True)
class _Place:
    """Where one operator acts, alone."""

    runner: asyncio.Runner
    desk: Desk
    seen: Seen
    finished: Sequence[Entry]
    console: Console
    as_json: bool

    def do(self, deeds: Sequence[Deed], why: str | None, yes: bool) -> None:
        """Preview, ask, act, tell."""
        self.console.print(preview(deeds))
        question = f"{deeds[0].action.capitalize()} {len(deeds)} letter{'s' * (len(deeds) > 1)}?"
        why = consent(question, why, yes=yes, as_json=self.as_json)
        with counting(Console(stderr=True, quiet=self.as_json)) as progress:
            bar = progress.add_task(deeds[0].action, total=len(deeds))
            gone = self.runner.run(self.desk.act(deeds, why, lambda: progress.advance(bar)))
        self._tell(deeds, gone)

    def say(self, line: str) -> None:
        self.console.print(safe(line), markup=False, highlight=False)

    def _tell(self, deeds: Sequence[Deed], gone: Sequence[Letter]) -> None:
        done = [deed.letter.id for deed in deeds if deed.letter not in gone]
        if self.as_json:
            report: dict[str, Any] = {
                "action": deeds[0].action,
                "done": done,
                "gone": [letter.id for letter in gone],
                "finished": [entry.id for entry in self.finished],
            }
            print(json.dumps(report, indent=2))
        self.say(f"{deeds[0].action}: {len(done)} done; `shop audit list` has it")
        for letter in gone:
            self.say(f"{letter.id} had gone from {letter.queue}.dead: nothing was done with it")
        if gone:
            raise typer.Exit(1)


@contextmanager
def _alone(who: str | None, limit: int, as_json: bool) -> Iterator[_Place]:
    """While the operator thinks, no event loop runs and no connection to the broker is open."""
    console = Console(quiet=as_json)
    with asyncio.Runner() as runner:
        exits = AsyncExitStack()

        async def enter() -> _Place:
            desk = await exits.enter_async_context(Desk.opened(targets.resolve(), operator(who), limit))
            seen, finished = await exits.enter_async_context(desk.alone())
            return _Place(runner, desk, seen, finished, console, as_json)

        try:
            place = runner.run(enter())
            for entry in place.finished:
                place.say(f"finished first: {entry.action} that {entry.who} began at {entry.at:%H:%M:%S} UTC")
            yield place
        finally:
            runner.run(exits.aclose())


async def _looked_at(queues: Sequence[str], limit: int) -> tuple[Seen, dict[str, list[Entry]]]:
    async with Desk.opened(targets.resolve(), operator(), limit) as desk:
        seen = await desk.look(queues)
        return seen, await desk.histories(seen.letters)


async def _story(letter: Letter) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
    """The order and its timeline; None when the letter names no order that there is."""
    if letter.order_id is None:
        return None
    async with books(targets.resolve()) as found:
        try:
            return await saga(found, UUID(letter.order_id))
        except ShopError:
            return None


async def _contradictions(before: Letter, after: Letter) -> list[str]:
    """What the edit says otherwise than the order's own row."""
    if after.order_id is None:
        return contradictions(before, after, None)
    order_id = UUID(after.order_id)
    async with books(targets.resolve()) as found:
        orders = await found.load("order", Order, [order_id])
    return contradictions(before, after, orders.get(order_id))


def _edited_by_hand(letter: Letter, event_type: str | None) -> Deed:
    """Raises ShopError, and keeps the text, when what was written cannot be read."""
    if not sys.stdin.isatty():
        raise ShopError("there is nobody to edit here: say --file or --set")
    model_of(letter, event_type)  # refused before anything is written
    file = Path(tempfile.mkstemp(prefix=f"letter-{letter.id}-", suffix=".json")[1])
    file.write_bytes(letter.body if letter.json is None else json.dumps(letter.json, indent=2).encode())
    editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    if subprocess.run([*editor, str(file)], check=False).returncode:
        raise ShopError(f"{editor[0]} failed: nothing was done")
    try:
        deed = Deed.edit(letter, file.read_bytes(), event_type)
    except ShopError as error:
        raise ShopError(f"{error}; your text is in {file}, for --file once it is mended") from None
    file.unlink()
    return deed
