"""`shop bench search`: what lists, searches and suggestions take with a large catalogue."""

import asyncio
import json
import time
from dataclasses import asdict, dataclass
from random import Random
from typing import Annotated

import aiohttp
import asyncpg
import typer
import uvloop
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table

from devstack import Stack, ports
from devstack.command import progress as starting
from devstack.down import down, purge
from devstack.programs import choose, programs
from devstack.up import up
from lab.bench.catalogue import Catalogue
from lab.services import cpu_seconds
from shop.errors import ShopError
from shop.machine import project_root
from shop.terminal import Json

_START_SECONDS = 90
_LOAD_SECONDS = 600
_REQUEST_SECONDS = 30
_WARM_UP = 30  # requests of each kind: pool and plans; and the vocabulary is read
_COLUMNS = ("sku", "name", "description", "category", "currency", "price", "picture")


@dataclass(frozen=True)
class Figures:
    """Of one kind of request: latencies and CPU of product and PostgreSQL, in milliseconds."""

    requests: int
    p50: float
    p95: float
    slowest: float
    cpu: float


def search(
    products: Annotated[int, typer.Option(min=100, help="In the catalogue.")] = 100_000,
    requests: Annotated[int, typer.Option(min=20, help="Of each kind, one after the other.")] = 400,
    as_json: Json = False,
) -> None:
    """Measure with a PostgreSQL and a product of their own, which are gone afterwards."""
    stack = Stack.create(
        project_root() / ".local" / "bench-search",
        ports.free_base(),
        durable=False,
        settings={"product": {"ROLE": "api", "LOG_LEVEL": "error"}},
    )
    try:
        known = programs()
        chosen = choose(["postgres", "product"], known)
        with starting(chosen, quiet=as_json) as note:
            up(stack, chosen, known, note, _START_SECONDS)
        with Progress(console=Console(stderr=True, quiet=as_json), transient=True) as progress:
            figures = uvloop.run(_measure(stack, Catalogue(products), requests, progress))
    finally:
        down(stack, programs(), lambda _: None)
        purge(stack)
    if as_json:
        print(json.dumps({name: asdict(one) for name, one in figures.items()}, indent=2))
    else:
        _show(figures)


async def _measure(
    stack: Stack, catalogue: Catalogue, requests: int, progress: Progress
) -> dict[str, Figures]:
    loading = progress.add_task("loading products", total=None)
    await load(stack, catalogue)
    progress.remove_task(loading)
    kinds = catalogue.requests()
    figures = {}
    timeout = aiohttp.ClientTimeout(total=_REQUEST_SECONDS)
    async with aiohttp.ClientSession(stack.http("product"), timeout=timeout) as http:
        for name, paths in kinds.items():
            task = progress.add_task(name, total=_WARM_UP + requests)
            dice = Random(name)
            for _ in range(_WARM_UP):
                await _ask(http, paths(dice))
                progress.advance(task)
            before, latencies = _cpu(stack), []
            for _ in range(requests):
                latencies.append(await _ask(http, paths(dice)))
                progress.advance(task)
            figures[name] = _figures(sorted(latencies), _cpu(stack) - before)
    return figures


async def load(stack: Stack, catalogue: Catalogue) -> None:
    """Put the products into product's database."""
    connection = await asyncpg.connect(
        stack.operator_dsn("product"), timeout=10, command_timeout=_LOAD_SECONDS
    )
    try:
        await connection.copy_records_to_table("product", records=catalogue.rows(), columns=_COLUMNS)
        await connection.copy_records_to_table(
            "stock",
            records=((sku, n, 0, 0, n, "active") for sku, n in catalogue.stock()),
            columns=("sku", "on_hand", "reserved", "sold", "received", "status"),
        )
        await connection.execute("VACUUM ANALYZE product")
        await connection.execute("VACUUM ANALYZE stock")
    finally:
        await connection.close()


async def _ask(http: aiohttp.ClientSession, paths: list[str]) -> float:
    """How many seconds it takes until all are answered."""
    started = time.perf_counter()
    await asyncio.gather(*(_read(http, path) for path in paths))
    return time.perf_counter() - started


async def _read(http: aiohttp.ClientSession, path: str) -> None:
    async with http.get(path) as answer:
        if answer.status != 200:
            raise ShopError(f"{path} was answered with {answer.status}")
        await answer.read()


def _cpu(stack: Stack) -> float:
    used = cpu_seconds(stack)
    return used["product"] + used["postgres"]


def _figures(latencies: list[float], cpu: float) -> Figures:
    count = len(latencies)
    shares = {"p50": count // 2, "p95": count * 95 // 100, "slowest": count - 1}
    found = {name: round(latencies[position] * 1000, 1) for name, position in shares.items()}
    return Figures(requests=count, cpu=round(cpu * 1000 / count, 1), **found)


def _show(figures: dict[str, Figures]) -> None:
    columns = (Column(name, justify="right") for name in ("p50", "p95", "slowest", "ms of CPU"))
    table = Table("ms", *columns, box=None, pad_edge=False)
    for name, one in figures.items():
        table.add_row(name, *(f"{value:.1f}" for value in (one.p50, one.p95, one.slowest, one.cpu)))
    Console(highlight=False).print(table)
