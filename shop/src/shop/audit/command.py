"""`shop audit`: what operators did, who, when and why, with the state before and after."""

from typing import Annotated

import typer
from rich.console import Console

from shop import targets
from shop.audit.trail import Audit, Entry, operator
from shop.terminal import Commands, Json, print_json, table

app = Commands("What operators did, and why.")


@app.command("list")
async def list_actions(
    order: Annotated[str | None, typer.Option(help="Only what concerned this order.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="So many, the newest.")] = 50,
    as_json: Json = False,
) -> None:
    """Each action in order of time. JSON has the state before and after, too."""
    async with Audit.opened(targets.resolve(), operator()) as audit:
        entries = await audit.entries(limit=limit, order_id=order)
    if as_json:
        print_json(entries)
        return
    columns = ("id", "when (UTC)", "who", "did", "what", "state", "why")
    rows = (
        (str(e.id), f"{e.at:%Y-%m-%d %H:%M:%S}", e.who, e.action, _what(e), e.error or e.state, e.why)
        for e in entries
    )
    Console().print(table(columns, rows, no_wrap=("id", "when (UTC)", "did", "what")))


@app.command()
async def show(number: Annotated[int, typer.Argument(help="As `list` numbers it.")]) -> None:
    """One action as a JSON document, with the state before and after."""
    async with Audit.opened(targets.resolve(), operator()) as audit:
        print_json(await audit.entry(number))


def _what(entry: Entry) -> str:
    return f"{entry.queue} {entry.letter_id[:8]}" if entry.letter_id else f"{entry.order_id or ''}"
