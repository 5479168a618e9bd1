"""One replay from end to end: plan, load the catalogue, play, and sum up."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import uuid4

import httpx

from lab.replay.assortment import assortment, repriced
from lab.replay.catalogue import ADJUSTED_AT_ONCE, load
from lab.replay.customers import Customers
from lab.replay.invoices import Book
from lab.replay.patience import Patience, Patient
from lab.replay.plan import Sale, Skip, Step, plan
from lab.replay.play import Player, Result
from lab.replay.report import Replay
from shop.gateway import TIMEOUT_SECONDS, admin_client
from shop.targets import Target


@dataclass(frozen=True)
class Terms:
    """`stock_factor` times what the file sells is the opening stock; an order has `patience` seconds."""

    at_once: int
    stock_factor: Decimal
    patience: float


async def run(
    target: Target, file: str, book: Book, terms: Terms, heed: Callable[[str, Result | None], None]
) -> Replay:
    """`heed` is checked_json what is done now, and each result as it comes. Raises ShopError."""
    started = time.monotonic()
    steps = plan(book.invoices)
    sales = [step.invoice for step in steps if isinstance(step, Sale)]
    goods = assortment(sales)
    name = uuid4().hex[:12]
    prices = {good.sku: good.price for good in goods.values()}
    loading, shopping = _door(ADJUSTED_AT_ONCE), _door(terms.at_once)
    heed("loading the catalogue", None)
    async with admin_client(target) as admin:
        token = admin.headers["Authorization"]
    async with _client(target, loading, Authorization=token) as http:
        loaded = await load(http, list(goods.values()), terms.stock_factor)
    async with _client(target, shopping) as http:
        player = Player(Customers(http, target.customers_secret), prices, name, terms.patience)
        results = await _play(player, steps, terms.at_once, lambda one: heed("checking out", one))
    limited = loading.limited + shopping.limited
    seconds = round(time.monotonic() - started, 1)
    return Replay(file, name, book, loaded, repriced(sales, goods), results, limited, seconds)


async def _play(
    player: Player, steps: Sequence[Step], at_once: int, heed: Callable[[Result], None]
) -> list[Result]:
    """A result for each step, in the same order."""
    results = [Result(step, "skipped", step.reason, step.detail) for step in steps if isinstance(step, Skip)]
    for result in results:
        heed(result)
    results += await player.play_all([step for step in steps if not isinstance(step, Skip)], at_once, heed)
    found = {result.step.invoice.number: result for result in results}
    return [found[step.invoice.number] for step in steps]


def _door(at_once: int) -> Patient:
    limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once)
    return Patient(httpx.AsyncHTTPTransport(limits=limits), Patience())


def _client(target: Target, door: Patient, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=target.gateway_url, timeout=TIMEOUT_SECONDS, transport=door, headers=headers
    )
