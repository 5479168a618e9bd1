"""`shop replay`: real invoices played as checkouts, each accounted for."""

import asyncio
import json
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import httpx
import typer
from rich.console import Console
from rich.progress import Progress

from lab.load import RetryPolicy, RetryTransport
from lab.replay.catalogue import CONCURRENT_ADJUSTMENTS, repriced
from lab.replay.columns import Dates
from lab.replay.customers import Customers
from lab.replay.invoices import InvoiceFile
from lab.replay.journal import Journal
from lab.replay.pace import Pace
from lab.replay.plan import Playable, Sale, plan
from lab.replay.play import Player, Result
from lab.replay.prepare import prepare
from lab.replay.reading import read_file
from lab.replay.report import Replay, document, show
from shop import targets
from shop.http import TIMEOUT_SECONDS, admin_client
from shop.targets import Target
from shop.terminal import Json, counting


@dataclass(frozen=True)
class Options:
    """`stock_factor` times what is to be sold is the opening stock; an order may take `timeout` seconds;
    `again` plays invoices that an earlier replay has played, too."""

    concurrency: int
    stock_factor: Decimal
    timeout: float
    again: bool


def replay(
    file: Annotated[Path, typer.Argument(help="CSV of the Online Retail data set, of either edition.")],
    concurrency: Annotated[int, typer.Option(min=1, max=100, help="Checkouts under way at once.")] = 16,
    stock_factor: Annotated[
        float, typer.Option(min=0, max=100, help="Opening stock: this times what is to be sold.")
    ] = 1,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that an order may take to end.")] = 120,
    dates: Annotated[
        Dates | None, typer.Option(help="How dates are written, where the file does not tell for certain.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Play also the invoices that an earlier replay has played.")
    ] = False,
    url: Annotated[str | None, typer.Option(help="A shop elsewhere; the rest is in SHOP_….")] = None,
    as_json: Json = False,
) -> None:
    """Play invoices as checkouts of their customers, through the gateway, in the order of the file.

    The same file again, by its name, goes on where the replay before ended: invoices that were played in this
    shop and have not changed are not played twice.

    Exits with 2, before anything is played, if the file or its dates cannot be read for certain; with 1 if a
    row cannot be read, or unless every invoice is paid, cancelled, or skipped for a reason.
    """
    invoices = read_file(file, dates)
    target = targets.resolve(url)
    options = Options(concurrency, Decimal(str(stock_factor)), timeout, again)
    progress = counting(Console(stderr=True))
    progress.disable = as_json
    with progress:
        done = asyncio.run(_replay(target, str(file), invoices, options, progress))
    if as_json:
        print(json.dumps(document(done), indent=2))
    else:
        show(Console(), done)
    if not done.succeeded:
        raise typer.Exit(1)


async def _replay(
    target: Target, path: str, file: InvoiceFile, options: Options, progress: Progress
) -> Replay:
    """Plan, load the catalogue, play and sum up. Raises ShopError."""
    started = time.monotonic()
    journal = Journal.of(target.customers_secret, Path(path).name)
    loading = RetryTransport(CONCURRENT_ADJUSTMENTS, RetryPolicy())
    shopping = RetryTransport(options.concurrency, RetryPolicy())
    bar = progress.add_task("loading the catalogue", total=None)
    async with admin_client(target) as admin:
        token = admin.headers["Authorization"]
    async with _client(target, loading, Authorization=token) as http:
        before = None if options.again else journal
        ready = await prepare(http, plan(file.invoices), before, options.stock_factor, options.timeout)
    pace = Pace(sum(isinstance(step, Playable) for step in ready.steps), lambda: shopping.counted["429"])
    progress.update(bar, description="checking out", total=pace.total)

    def advance(_: Result) -> None:
        pace.done += 1
        progress.advance(bar)

    async with _client(target, shopping) as http, pace.watched(progress.console.print):
        customers = Customers(http, target.customers_secret)
        run = uuid4().hex if options.again else journal.name
        player = Player(customers, ready.offers, journal, run, options.timeout)
        results = await player.play_all(ready.steps, options.concurrency, advance)
    sales = [step.invoice for step in ready.steps if isinstance(step, Sale)]
    limited = loading.counted["429"] + shopping.counted["429"]
    seconds = round(time.monotonic() - started, 1)
    other_prices = repriced(sales, ready.offers)
    return Replay(path, file, ready.loaded, other_prices, results, limited, seconds)


def _client(target: Target, transport: RetryTransport, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=target.gateway_url, timeout=TIMEOUT_SECONDS, transport=transport, headers=headers
    )
