"""`shop broker`: compare the live broker with its definitions, and restore it."""

import typer
from rich.console import Console
from rich.text import Text

from shop import targets
from shop.broker.checking import BrokerIssue, declared
from shop.broker.checking import check as find_issues
from shop.broker.restoring import prepare
from shop.broker.restoring import restore as bring_back
from shop.terminal import Commands, Json, Reason, Yes, confirm, print_json

DIFFERS = 3

app = Commands("Compare the live broker with its definitions, and restore it.")


@app.command()
async def check(as_json: Json = False) -> None:
    """Differences from the definitions, and alarms. Exits with 3 if there are any."""
    target = targets.resolve()
    issues, _ = await find_issues(target, declared(target))
    if as_json:
        print_json({"issues": issues})
    else:
        print_issues(Console(), issues)
    if issues:
        raise typer.Exit(DIFFERS)


@app.command()
async def restore(why: Reason, yes: Yes = False, as_json: Json = False) -> None:
    """Import the definitions, and remove bindings, policies and permissions that they do not have.

    Messages, queues, exchanges and passwords stay. Exits with 3 if something has to be done by hand: a queue
    of another type would have to be deleted with its messages.
    """
    target, console = targets.resolve(), Console(quiet=as_json)
    what = await prepare(target, declared(target))
    found = [str(one) for one in what.found]
    for line in found or ["the broker matches its definitions"]:
        console.print(line, markup=False, highlight=False)
    left: list[str] = []
    if found:
        confirm("Restore it?", yes=yes, as_json=as_json)
        await bring_back(target, what, why)
        left = [str(one) for one in (await prepare(target, declared(target))).found]
    if as_json:
        print_json({"restored": [one for one in found if one not in left], "left": left})
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
