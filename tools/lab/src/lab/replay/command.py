"""`shop replay`: real invoices played as checkouts, each accounted for."""

import asyncio
import json
import time
from collections.abc import Sequence
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
from lab.replay.catalogue import (
    CONCURRENT_ADJUSTMENTS,
    Loaded,
    Offer,
    find,
    load,
    offers_of,
    products_of,
    repriced,
    to_sell,
)
from lab.replay.columns import Dates
from lab.replay.customers import Customers
from lab.replay.invoices import Invoice, InvoiceFile
from lab.replay.journal import Journal
from lab.replay.pace import Pace
from lab.replay.plan import Order, Playable, Sale, Step, plan, resumed
from lab.replay.play import Player, Result
from lab.replay.reading import read_file
from lab.replay.report import Replay, document, show
from shop import targets
from shop.errors import ShopError
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
        Dates | None, typer.Option(help="Which comes first, day or month, where no date of the file tells.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Play also the invoices that an earlier replay has played.")
    ] = False,
    url: Annotated[str | None, typer.Option(help="A shop elsewhere; the rest is in SHOP_….")] = None,
    as_json: Json = False,
) -> None:
    """Play invoices as checkouts of their customers, through the gateway, in the order of the file.

    The same file again goes on where the replay before ended: what it has played is not played twice.

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
    journal = Journal.of(target.customers_secret)
    loading = RetryTransport(CONCURRENT_ADJUSTMENTS, RetryPolicy())
    shopping = RetryTransport(options.concurrency, RetryPolicy())
    bar = progress.add_task("loading the catalogue", total=None)
    async with admin_client(target) as admin:
        token = admin.headers["Authorization"]
    async with _client(target, loading, Authorization=token) as http:
        steps, loaded, offers = await _prepare(http, journal, plan(file.invoices), options)
    pace = Pace(sum(isinstance(step, Playable) for step in steps), lambda: shopping.counted["429"])
    progress.update(bar, description="checking out", total=pace.total)

    def advance(_: Result) -> None:
        pace.done += 1
        progress.advance(bar)

    async with _client(target, shopping) as http, pace.watched(progress.console.print):
        customers = Customers(http, target.customers_secret)
        run = uuid4().hex[:12] if options.again else "first"
        player = Player(customers, offers, journal, run, options.timeout)
        results = await player.play_all(steps, options.concurrency, advance)
    sales = [step.invoice for step in steps if isinstance(step, Sale)]
    limited = loading.counted["429"] + shopping.counted["429"]
    seconds = round(time.monotonic() - started, 1)
    return Replay(path, file, loaded, repriced(sales, offers), results, limited, seconds)


async def _prepare(
    admin: httpx.AsyncClient, journal: Journal, steps: Sequence[Step], options: Options
) -> tuple[Sequence[Step], Loaded, dict[str, Offer]]:
    """Find out what is left to play, and load the catalogue for it. Raises ShopError."""
    sales = [step.invoice for step in steps if isinstance(step, Sale)]
    products = products_of(sales)
    try:
        if not options.again:
            steps = resumed(steps, await _earlier_orders(admin, journal, sales, options.timeout))
        wanted = to_sell(products, [step.invoice for step in steps if isinstance(step, Sale)])
        known = await find(admin, [one.sku for one in wanted])
        loaded = await load(admin, wanted, known, options.stock_factor)
    except httpx.TransportError as error:
        raise ShopError(
            f"the shop stopped answering while the catalogue was loaded ({type(error).__name__}):"
            " look at `shop status`, then replay again"
        ) from error
    return steps, loaded, offers_of(wanted, known)


async def _earlier_orders(
    admin: httpx.AsyncClient, journal: Journal, sales: Sequence[Invoice], timeout: float
) -> dict[str, Order]:
    """By invoice number. Those that a killed replay has left pending get the time to end."""
    until = time.monotonic() + timeout
    while True:
        orders = await journal.orders(admin, sales)
        if time.monotonic() > until or all(order.status != "pending" for order in orders.values()):
            return orders
        await asyncio.sleep(1)


def _client(target: Target, transport: RetryTransport, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=target.gateway_url, timeout=TIMEOUT_SECONDS, transport=transport, headers=headers
    )
