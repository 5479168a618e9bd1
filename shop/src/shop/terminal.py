"""The operator's terminal: options of many commands, asking for consent, a progress bar, safe text."""

import sys
from typing import Annotated

import typer
from rich import progress as bars
from rich.console import Console

from shop.errors import ShopError

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
Why = Annotated[str | None, typer.Option("--why", help="The reason, for the audit; asked for if not given.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
As = Annotated[str | None, typer.Option("--as", envvar="SHOP_OPERATOR", help="Who you are [user@host].")]


def consent(question: str, why: str | None, *, yes: bool, as_json: bool) -> str:
    """Asks on a terminal; a script has to pass both --yes and --why.

    Returns the reason, for the audit. Raises ShopError when the answer is no, or when nobody can be asked.
    """
    if (as_json or not sys.stdin.isatty()) and not (why and yes):
        raise ShopError("stdin is not a terminal: pass --yes and --why TEXT")
    why = why or typer.prompt("Why")
    if not yes and not typer.confirm(question):
        raise ShopError("nothing was done")
    return why


def counting(console: Console) -> bars.Progress:
    """A progress bar with a count, removed when it is full."""
    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeElapsedColumn(),
    )
    return bars.Progress(*columns, console=console, transient=True)


def printable(text: str) -> str:
    """Text from outside, with control characters escaped: it must not control the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
