"""The catalogue of a replay: what the invoices sell, each product with one name, one price and its stock."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx

from lab.load import for_each
from lab.replay.invoices import Invoice, Row
from shop.errors import ShopError
from shop.http import checked_json

BATCH_SIZE = 1000  # products that product takes in one request
BATCH_BYTES = 60_000  # below the 64 KB that the gateway lets through
SKUS_IN_URL = 200  # stock codes of up to 32 characters in a URL of 8 KB
MOST_PIECES = 1_000_000  # that product takes as opening stock
CONCURRENT_ADJUSTMENTS = 8


@dataclass(frozen=True)
class Product:
    """`price` is in minor units, `sold` the pieces that the invoices sell."""

    sku: str
    name: str
    price: int
    sold: int


@dataclass(frozen=True)
class Loaded:
    """What became of the products; `adjusted` had another stock than the replay opens with."""

    created: int
    changed: int
    unchanged: int
    adjusted: int


def products_of(sales: Iterable[Invoice]) -> dict[str, Product]:
    """By sku, in order of first sale. Where prices or names differ, the commonest counts, then the first."""
    rows: dict[str, list[Row]] = {}
    for sale in sales:
        for row in sale.rows:
            rows.setdefault(row.sku, []).append(row)
    return {sku: _product(sku, of_it) for sku, of_it in rows.items()}


def _product(sku: str, rows: list[Row]) -> Product:
    [(price, _)] = Counter(row.price for row in rows).most_common(1)
    names = Counter(row.name for row in rows if row.name).most_common(1)
    return Product(sku, names[0][0][:200] if names else sku, price, sum(row.quantity for row in rows))


def repriced(sales: Iterable[Invoice], products: dict[str, Product]) -> int:
    """How many rows were sold at another price than the catalogue's."""
    return sum(row.price != products[row.sku].price for sale in sales for row in sale.rows)


def opening_stock(product: Product, factor: Decimal) -> int:
    """Pieces to begin with: `factor` times what the invoices sell, rounded down."""
    return min(int(product.sold * factor), MOST_PIECES)


async def load(admin: httpx.AsyncClient, products: Sequence[Product], factor: Decimal) -> Loaded:
    """Put the products and bring each to its opening stock. May be repeated. Raises ShopError."""
    try:
        items = [
            {"sku": one.sku, "name": one.name, "price": one.price, "stock": opening_stock(one, factor)}
            for one in products
        ]
        counts = {"created": 0, "changed": 0, "unchanged": 0}
        for batch in batches(items):
            answer = checked_json(await admin.post("/v1/products/bulk", json={"items": batch}))
            counts = {name: count + answer[name] for name, count in counts.items()}
        return Loaded(**counts, adjusted=await _adjust(admin, products, factor))
    except httpx.TransportError as error:
        raise ShopError(
            f"the shop stopped answering while the catalogue was loaded ({type(error).__name__}):"
            " look at `shop status`, then replay again"
        ) from error


def batches(products: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """As many in each as one request may carry."""
    batch: list[dict[str, Any]] = []
    size = 0
    for product in products:
        length = len(json.dumps(product)) + 1  # at least what is sent
        if batch and (len(batch) == BATCH_SIZE or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(product)
        size += length
    if batch:
        yield batch


async def _adjust(admin: httpx.AsyncClient, products: Sequence[Product], factor: Decimal) -> int:
    deltas: dict[str, int] = {}
    for start in range(0, len(products), SKUS_IN_URL):
        wanted = {one.sku: opening_stock(one, factor) for one in products[start : start + SKUS_IN_URL]}
        found = checked_json(await admin.get("/v1/products", params={"sku": list(wanted)}))
        for item in found["items"]:
            if item["status"] == "active" and item["available"] != wanted[item["sku"]]:
                deltas[item["sku"]] = wanted[item["sku"]] - item["available"]

    async def adjust(sku: str) -> None:
        body = {"delta": deltas[sku], "reason": "opening stock of a replay"}
        checked_json(await admin.post(f"/v1/products/{sku}/stock", json=body))

    await for_each(deltas, adjust, CONCURRENT_ADJUSTMENTS)
    return len(deltas)
