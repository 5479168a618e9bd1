"""`shop broker`: compare the live broker with its definitions, and restore it."""

import asyncio
import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from shop import targets
from shop.broker.checking import BrokerIssue, declared
from shop.broker.checking import check as find_issues
from shop.broker.restoring import prepare
from shop.broker.restoring import restore as bring_back
from shop.errors import ShopError
from shop.terminal import Json, Yes

DIFFERS = 3

app = typer.Typer(help="Compare the live broker with its definitions, and restore it.", no_args_is_help=True)


@app.command()
def check(as_json: Json = False) -> None:
    """Differences from the definitions, and alarms. Exits with 3 if there are any."""
    target = targets.resolve()
    issues = asyncio.run(find_issues(target, declared(target)))
    if as_json:
        print(json.dumps({"issues": [asdict(issue) for issue in issues]}, indent=2))
    else:
        print_issues(Console(), issues)
    if issues:
        raise typer.Exit(DIFFERS)


@app.command()
def restore(
    why: Annotated[str, typer.Option(help="The reason, for the audit.")],
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Import the definitions, and remove bindings, policies and permissions that they do not have.

    Messages, queues, exchanges and passwords stay. Exits with 3 if something has to be done by hand: a queue
    of another type would have to be deleted with its messages.
    """
    target, console = targets.resolve(), Console(quiet=as_json)
    what = asyncio.run(prepare(target, declared(target)))
    found = [str(one) for one in what.found]
    for line in found or ["the broker matches its definitions"]:
        console.print(line, markup=False, highlight=False)
    if found and not yes and as_json:
        raise ShopError("--json does not ask for confirmation: pass --yes, too")
    if found and not yes:
        typer.confirm("Restore it?", abort=True)
    if found:
        asyncio.run(bring_back(target, what, why))
    left = [str(one) for one in asyncio.run(prepare(target, declared(target))).found] if found else []
    if as_json:
        print(json.dumps({"restored": [one for one in found if one not in left], "left": left}, indent=2))
    for line in left:
        console.print(f"not restored, fix it by hand: {line}", markup=False, highlight=False)
    if found and not left:
        console.print("restored: `shop saga list` shows sagas that lost events meanwhile")
    if left:
        raise typer.Exit(DIFFERS)


def print_issues(console: Console, issues: list[BrokerIssue]) -> None:
    for issue in issues:
        console.print(Text.assemble((issue.kind, "bold red"), f"  {issue.means}"), soft_wrap=True)
        console.print(Text(f"    → {issue.next}", "cyan"), soft_wrap=True)
    if not issues:
        console.print("the broker matches its definitions, and has no alarms")
