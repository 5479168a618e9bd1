"""`shop saga show`: one order's saga as a diagram."""

import asyncio
import json
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console

from shop.diagram import diagram
from shop.door import as_admin, told
from shop.stack import Stack

app = typer.Typer(help="Look into sagas.", no_args_is_help=True)


@app.callback()
def _sagas() -> None:
    """A group, though it has one command so far."""


@app.command()
def show(
    order: Annotated[UUID, typer.Argument(help="The order's id.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")] = False,
) -> None:
    """Who said what when, what led to it, what was undone."""
    found, events = asyncio.run(fetch(Stack.load(), order))
    if as_json:
        print(json.dumps({"order": found, "events": events}, indent=2))
    else:
        Console().print(diagram(found, events))


async def fetch(stack: Stack, order: UUID) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The order and its timeline. Raises ShopError when there is no such order."""
    async with as_admin(stack) as http:
        found = told(await http.get(f"/v1/orders/{order}"))
        timeline = told(await http.get(f"/v1/orders/{order}/timeline"))
    return found, timeline["events"]
