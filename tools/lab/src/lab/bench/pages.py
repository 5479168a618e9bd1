"""`shop bench pages`: what a page of the catalogue costs the storefront."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

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
from lab.services import cpu_seconds
from shop.catalogue.loading import read
from shop.errors import ShopError
from shop.machine import project_root
from shop.terminal import Json

_START_SECONDS = 90
_REQUEST_SECONDS = 30
_WARM_UP = 50  # requests of each page
_PATHS = {
    "home": "/",
    "list": "/search",
    "category, filtered": "/c/kitchen?sort=price&in_stock=true",
    "search": "/search?q=lantren",
    "product": "/p/LANTERN-RED",
    "cart, of a visitor": "/cart",
}


def pages(
    requests: Annotated[int, typer.Option(min=20, help="Of each page, one after the other.")] = 500,
    as_json: Json = False,
) -> None:
    """Measure the CPU of a storefront that calls product alone, with the demo catalogue."""
    base = ports.free_base()
    product = f"http://127.0.0.1:{ports.block(base, [])['product']}"
    stack = Stack.create(
        project_root() / ".local" / "bench-pages",
        base,
        durable=False,
        settings={
            "product": {"ROLE": "api", "LOG_LEVEL": "error"},
            "storefront": {"GATEWAY_URL": product, "LOG_LEVEL": "error"},
        },
    )
    try:
        known = programs()
        chosen = choose(["postgres", "product", "storefront"], known)
        with starting(chosen, quiet=as_json) as note:
            up(stack, chosen, known, note, _START_SECONDS)
        with Progress(console=Console(stderr=True, quiet=as_json), transient=True) as progress:
            figures = uvloop.run(_measure(stack, requests, progress))
    finally:
        down(stack, programs(), lambda _: None)
        purge(stack)
    if as_json:
        print(json.dumps(figures, indent=2))
        return
    table = Table("page", Column("ms of CPU", justify="right"), box=None, pad_edge=False)
    for name, used in figures.items():
        table.add_row(name, f"{used:.2f}")
    Console(highlight=False).print(table)


async def _measure(stack: Stack, requests: int, progress: Progress) -> dict[str, float]:
    """Milliseconds of the storefront's CPU, by page."""
    await _load(stack, read(project_root() / "storefront" / "catalogue.json"))
    figures = {}
    timeout = aiohttp.ClientTimeout(total=_REQUEST_SECONDS)
    # With cookies: a visitor's first page also costs an encrypted cookie.
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(stack.http("storefront"), timeout=timeout, cookie_jar=jar) as http:
        for name, path in _PATHS.items():
            task = progress.add_task(name, total=_WARM_UP + requests)
            before = 0.0
            for number in range(_WARM_UP + requests):
                if number == _WARM_UP:
                    before = cpu_seconds(stack)["storefront"]
                async with http.get(path, headers={"Accept-Encoding": "gzip"}) as answer:
                    if answer.status != 200:
                        raise ShopError(f"{path} was answered with {answer.status}")
                    await answer.read()
                progress.advance(task)
            used = cpu_seconds(stack)["storefront"] - before
            figures[name] = round(used * 1000 / requests, 2)
    return figures


async def _load(stack: Stack, items: Sequence[dict[str, Any]]) -> None:
    """Put the products into product's database."""
    connection = await asyncpg.connect(stack.operator_dsn("product"), timeout=10, command_timeout=30)
    columns = ("sku", "name", "description", "category", "currency", "price", "picture", "picture_alt")
    try:
        await connection.copy_records_to_table(
            "product",
            records=[[one.get(name, "GBP") for name in columns] for one in items],
            columns=columns,
        )
        await connection.copy_records_to_table(
            "stock",
            records=[(one["sku"], one["stock"], 0, 0, one["stock"], "active") for one in items],
            columns=("sku", "on_hand", "reserved", "sold", "received", "status"),
        )
    finally:
        await connection.close()
