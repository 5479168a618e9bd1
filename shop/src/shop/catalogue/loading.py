"""Reads products from a file, and has product create or change them, through the API."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from shop.errors import ShopError
from shop.http import checked_json

BATCH = 200  # well below the gateway's limit of 2 MiB, with the longest texts


@dataclass(frozen=True)
class Loaded:
    """How many products were created, changed, and were as in the file."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0


def read(file: Path) -> list[dict[str, Any]]:
    """The products of a JSON file: a list of what `POST /v1/products/bulk` takes as `items`.

    Raises ShopError if it cannot be read or is no such list."""
    try:
        items = json.loads(file.read_text())
    except OSError as error:
        raise ShopError(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise ShopError(f"{file} is not JSON: {error}") from error
    if not isinstance(items, list) or not items or not all(isinstance(one, dict) for one in items):
        raise ShopError(f"{file}: must be a list of products, each with sku, name and price")
    return items


async def load(http: httpx.AsyncClient, items: Sequence[dict[str, Any]]) -> Loaded:
    """Create or change the products. A stock is only taken when its product is created, so loading again
    changes no stock.

    `http` has the administrator's token. Raises ShopError if a batch is refused; those before it are loaded.
    """
    total = Loaded()
    for start in range(0, len(items), BATCH):
        batch = items[start : start + BATCH]
        done = checked_json(await http.post("/v1/products/bulk", json={"items": batch}))
        total = Loaded(
            total.created + done["created"],
            total.changed + done["changed"],
            total.unchanged + done["unchanged"],
        )
    return total
