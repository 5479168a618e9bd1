"""`shop audit`: what operators did, who, when and why, with the state before and after."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shop import targets
from shop.audit.trail import Audit, Entry, document, operator
from shop.terminal import Json, printable

app = typer.Typer(help="What operators did, and why.", no_args_is_help=True)
T = TypeVar("T")


@app.command("list")
def list_actions(
    order: Annotated[str | None, typer.Option(help="Only what concerned this order.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="So many, the newest.")] = 50,
    as_json: Json = False,
) -> None:
    """Each action in order of time. JSON has the state before and after, too."""
    entries = _read(lambda audit: audit.entries(limit=limit, order_id=order))
    if as_json:
        print(json.dumps([document(entry) for entry in entries], indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for name in ("id", "when (UTC)", "who", "did", "what", "state", "why"):
        table.add_column(name, no_wrap=name in ("id", "when (UTC)", "did", "what"))
    for e in entries:
        when = f"{e.at:%Y-%m-%d %H:%M:%S}"
        cells = (str(e.id), when, e.who, e.action, _what(e), e.error or e.state, e.why)
        table.add_row(*(Text(printable(cell)) for cell in cells))
    Console().print(table)


@app.command()
def show(number: Annotated[int, typer.Argument(help="As `list` numbers it.")]) -> None:
    """One action as a JSON document, with the state before and after."""
    print(json.dumps(document(_read(lambda audit: audit.entry(number))), indent=2))


def _read(ask: Callable[[Audit], Awaitable[T]]) -> T:
    async def read() -> T:
        async with Audit.opened(targets.resolve(), operator()) as audit:
            return await ask(audit)

    return asyncio.run(read())


def _what(entry: Entry) -> str:
    return f"{entry.queue} {entry.letter_id[:8]}" if entry.letter_id else f"{entry.order_id or ''}"
