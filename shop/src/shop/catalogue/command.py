"""`shop catalogue`: load products from a file."""

from pathlib import Path
from typing import Annotated

import typer

from shop import targets
from shop.catalogue.loading import load, read
from shop.http import admin_client
from shop.terminal import Commands, Json, print_json

app = Commands("Load products into the catalogue.")

_DEMO = Path("storefront/catalogue.json")
File = Annotated[Path, typer.Argument(help="A JSON list of products. The default is the demo catalogue.")]


@app.callback()
def catalogue() -> None:
    """Load products into the catalogue."""


@app.command("load")
async def load_catalogue(file: File = _DEMO, as_json: Json = False) -> None:
    """Create or change the products of a file, as the administrator. Idempotent."""
    items = read(file)
    async with admin_client(targets.resolve()) as http:
        done = await load(http, items)
    if as_json:
        print_json(done)
        return
    counts = f"{done.created} created, {done.changed} changed, {done.unchanged} unchanged"
    print(f"{len(items)} products: {counts}")
