"""`shop replay`: real invoices played as checkouts, each accounted for."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
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
from lab.replay.catalogue import CONCURRENT_ADJUSTMENTS, load, products_of, repriced
from lab.replay.customers import Customers
from lab.replay.invoices import InvoiceFile, gather, read
from lab.replay.plan import Sale, Skip, Step, plan
from lab.replay.play import Player, Result
from lab.replay.report import Replay, document, show
from shop import targets
from shop.http import TIMEOUT_SECONDS, admin_client
from shop.targets import Target
from shop.terminal import counting


@dataclass(frozen=True)
class Options:
    """`stock_factor` times what the file sells is the opening stock; an order may take `timeout` seconds."""

    concurrency: int
    stock_factor: Decimal
    timeout: float


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
    invoices = gather(read(file))
    target = targets.resolve(url)
    options = Options(concurrency, Decimal(str(stock_factor)), timeout)
    with counting(Console(stderr=True, quiet=as_json)) as progress:
        done = asyncio.run(_replay(target, str(file), invoices, options, progress))
    if as_json:
        print(json.dumps(document(done), indent=2))
    else:
        show(Console(), done)
    if not done.all_ended:
        raise typer.Exit(1)


async def _replay(
    target: Target, path: str, file: InvoiceFile, options: Options, progress: Progress
) -> Replay:
    """Plan, load the catalogue, play and sum up. Raises ShopError."""
    started = time.monotonic()
    steps = plan(file.invoices)
    sales = [step.invoice for step in steps if isinstance(step, Sale)]
    products = products_of(sales)
    run = uuid4().hex[:12]
    prices = {product.sku: product.price for product in products.values()}
    loading = RetryTransport(CONCURRENT_ADJUSTMENTS, RetryPolicy())
    shopping = RetryTransport(options.concurrency, RetryPolicy())
    bar = progress.add_task("loading the catalogue", total=len(steps))
    async with admin_client(target) as admin:
        token = admin.headers["Authorization"]
    async with _client(target, loading, Authorization=token) as http:
        loaded = await load(http, list(products.values()), options.stock_factor)
    async with _client(target, shopping) as http:
        player = Player(Customers(http, target.customers_secret), prices, run, options.timeout)
        progress.update(bar, description="checking out")
        results = await _play(player, steps, options.concurrency, lambda: progress.advance(bar))
    limited = loading.counted["429"] + shopping.counted["429"]
    seconds = round(time.monotonic() - started, 1)
    return Replay(path, run, file, loaded, repriced(sales, products), results, limited, seconds)


async def _play(
    player: Player, steps: Sequence[Step], concurrency: int, advance: Callable[[], None]
) -> list[Result]:
    """A result for each step, in the same order."""
    results = [Result(step, "skipped", step.reason, step.detail) for step in steps if isinstance(step, Skip)]
    for _ in results:
        advance()
    playable = [step for step in steps if not isinstance(step, Skip)]
    results += await player.play_all(playable, concurrency, lambda _: advance())
    found = {result.step.invoice.number: result for result in results}
    return [found[step.invoice.number] for step in steps]


def _client(target: Target, transport: RetryTransport, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=target.gateway_url, timeout=TIMEOUT_SECONDS, transport=transport, headers=headers
    )
