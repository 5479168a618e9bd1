"""`shop replay`: real invoices played as checkouts, each accounted for."""

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lab.replay.invoices import Book, gather
from lab.replay.play import Result
from lab.replay.reading import read
from lab.replay.report import Replay, document, tell
from lab.replay.run import Terms, run
from shop import targets
from shop.targets import Target
from shop.terminal import counting


def replay(
    file: Annotated[Path, typer.Argument(help="CSV in the columns of the Online Retail data set.")],
    concurrency: Annotated[int, typer.Option(min=1, max=100, help="Checkouts under way at once.")] = 16,
    stock_factor: Annotated[
        float, typer.Option(min=0, max=100, help="Opening stock: this times what the file sells.")
    ] = 1,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that an order may take to end.")] = 120,
    url: Annotated[str | None, typer.Option(help="A shop elsewhere; the rest is in SHOP_….")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")] = False,
) -> None:
    """Play invoices as checkouts of their customers, through the gateway, in the order of the file.

    Exits with 1 unless every invoice is accounted for: paid, cancelled, or skipped for a reason.
    """
    book = gather(read(file))
    terms = Terms(concurrency, Decimal(str(stock_factor)), timeout)
    done = _watched(targets.resolve(url), str(file), book, terms, quiet=as_json)
    if as_json:
        print(json.dumps(document(done), indent=2))
    else:
        tell(Console(), done)
    if not done.all_ended:
        raise typer.Exit(1)


def _watched(target: Target, file: str, book: Book, terms: Terms, *, quiet: bool) -> Replay:
    with counting(Console(stderr=True, quiet=quiet)) as progress:
        bar = progress.add_task("", total=len(book.invoices))

        def heed(doing: str, result: Result | None) -> None:
            progress.update(bar, description=doing, advance=0 if result is None else 1)

        return asyncio.run(run(target, file, book, terms, heed))
