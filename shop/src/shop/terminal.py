"""The operator's terminal: groups of commands, their common options, consent, and what they print."""

import asyncio
import json
import signal
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import datetime
from functools import wraps
from inspect import iscoroutinefunction
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer
from rich import progress as bars
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shop.errors import ShopError

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
Reason = Annotated[str, typer.Option("--why", help="The reason, for the audit.")]
Why = Annotated[str | None, typer.Option("--why", help="The reason, for the audit; asked for if not given.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
As = Annotated[str | None, typer.Option("--as", envvar="SHOP_OPERATOR", help="Who you are [user@host].")]

Function = TypeVar("Function", bound=Callable[..., Any])


class Commands(typer.Typer):
    """A group of commands. One that is `async def` runs in an event loop of its own."""

    def __init__(self, help_: str) -> None:
        super().__init__(help=help_, no_args_is_help=True)

    def command(self, *args: Any, **options: Any) -> Callable[[Function], Function]:
        register = super().command(*args, **options)

        def add(function: Function) -> Function:
            @wraps(function)
            def run(*args: Any, **options: Any) -> Any:
                return asyncio.run(function(*args, **options))

            register(run if iscoroutinefunction(function) else function)
            return function

        return add


def confirm(question: str, *, yes: bool, as_json: bool) -> None:
    """Ends the command when the answer is no. Raises ShopError when --json rules out asking."""
    if not yes and as_json:
        raise ShopError("--json does not ask for confirmation: pass --yes, too")
    if not yes:
        with _interruptible():
            typer.confirm(question, abort=True)


def consent(question: str, why: str | None, *, yes: bool, as_json: bool) -> str:
    """Asks on a terminal; a script has to pass both --yes and --why.

    Returns the reason, for the audit. Raises ShopError when the answer is no, or when nobody can be asked.
    """
    if (as_json or not sys.stdin.isatty()) and not (why and yes):
        raise ShopError("stdin is not a terminal: pass --yes and --why TEXT")
    with _interruptible():
        why = why or typer.prompt("Why")
        if not yes and not typer.confirm(question):
            raise ShopError("nothing was done")
    return why


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C ends the question. An event loop's own handler would only cancel what comes after the answer."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def counting(console: Console) -> bars.Progress:
    """A progress bar with a count, removed when it is full."""
    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeElapsedColumn(),
    )
    return bars.Progress(*columns, console=console, transient=True)


def print_json(document: object) -> None:
    print(json.dumps(document, indent=2, default=json_default))


def json_default(value: object) -> object:
    """For `json.dumps`: a dataclass is an object, an id is text, a time is ISO 8601."""
    match value:
        case datetime():
            return value.isoformat()
        case UUID():
            return str(value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            return asdict(value)
    raise TypeError(f"{type(value).__name__} is not for JSON")


def table(columns: Iterable[str], rows: Iterable[Iterable[str]], *, no_wrap: Collection[str]) -> Table:
    """Rows of text from outside."""
    drawn = Table(box=None, pad_edge=False)
    for name in columns:
        drawn.add_column(name, no_wrap=name in no_wrap)
    for row in rows:
        drawn.add_row(*(Text(printable(cell)) for cell in row))
    return drawn


def printable(text: str) -> str:
    """Text from outside, with control characters escaped: it must not control the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
