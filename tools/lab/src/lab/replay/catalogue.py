"""The catalogue of a replay: what the invoices sell, each product with one name, one price and its stock.

Products that the shop has from elsewhere are sold as they are: with their own price, currency and stock.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import httpx

from lab.load import for_each
from lab.replay.invoices import Invoice, Row
from shop.http import checked_json

BATCH_SIZE = 1000  # products that product takes in one request
BATCH_BYTES = 60_000  # below the 64 KB that the gateway lets through
SKUS_IN_URL = 200  # stock codes of up to 32 characters in a URL of 8 KB
MOST_PIECES = 1_000_000  # that product takes as opening stock
CONCURRENT_ADJUSTMENTS = 8
CATEGORY = "replayed"  # by which a replay recognises the products that it has made
CURRENCY = "GBP"  # the data set's


@dataclass(frozen=True)
class Product:
    """`price` is in minor units, `sold` the pieces that the invoices sell."""

    sku: str
    name: str
    price: int
    sold: int


@dataclass(frozen=True)
class Loaded:
    """What became of the products; `adjusted` had another stock than the replay opens with, `kept` are not a
    replay's own."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    adjusted: int = 0
    kept: int = 0


@dataclass(frozen=True)
class Offer:
    """At which price in minor units a product is sold."""

    price: int
    currency: str = CURRENCY


Known = Mapping[str, Mapping[str, Any]]
"""Products of the shop by sku, as its catalogue shows them."""


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


def to_sell(products: Mapping[str, Product], sales: Iterable[Invoice]) -> list[Product]:
    """The products of these sales, which may be fewer than those that the prices and names are from."""
    sold: Counter[str] = Counter()
    for sale in sales:
        sold.update(sale.pieces)
    return [replace(products[sku], sold=count) for sku, count in sold.items()]


def offers_of(products: Iterable[Product], known: Known) -> dict[str, Offer]:
    """What the shop sells once the products are loaded; retired ones are not sold."""
    offers = {one.sku: Offer(one.price) for one in products if one.sku not in known}
    for one in products:
        item = known.get(one.sku)
        if item is not None and item["status"] == "active":
            offers[one.sku] = Offer(one.price if _is_own(item) else item["price"], item["currency"])
    return offers


def _is_own(item: Mapping[str, Any]) -> bool:
    return (item["category"], item["currency"]) == (CATEGORY, CURRENCY)


def repriced(sales: Iterable[Invoice], offers: Mapping[str, Offer]) -> int:
    """How many rows were sold at another price than the catalogue's."""
    return sum(Offer(row.price) != offers.get(row.sku) for sale in sales for row in sale.rows)


def opening_stock(product: Product, factor: Decimal) -> int:
    """Pieces to begin with: `factor` times what the invoices sell, rounded down."""
    return min(int(product.sold * factor), MOST_PIECES)


async def find(admin: httpx.AsyncClient, skus: Sequence[str]) -> Known:
    """Those of the products that the shop has. Raises ShopError."""
    found: dict[str, Mapping[str, Any]] = {}
    for start in range(0, len(skus), SKUS_IN_URL):
        parameters = {"sku": skus[start : start + SKUS_IN_URL]}
        page = checked_json(await admin.get("/v1/products", params=parameters))
        found |= {item["sku"]: item for item in page["items"]}
    return found


async def load(
    admin: httpx.AsyncClient, products: Sequence[Product], known: Known, factor: Decimal
) -> Loaded:
    """Put the products and bring each to its opening stock, but for those that are not a replay's own. May be
    repeated. Raises ShopError."""
    own = [one for one in products if one.sku not in known or _is_own(known[one.sku])]
    items = [
        {
            "sku": one.sku,
            "name": one.name,
            "price": one.price,
            "currency": CURRENCY,
            "category": CATEGORY,
            "stock": opening_stock(one, factor),
        }
        for one in own
    ]
    counts = {"created": 0, "changed": 0, "unchanged": 0}
    for batch in batches(items):
        answer = checked_json(await admin.post("/v1/products/bulk", json={"items": batch}))
        counts = {name: count + answer[name] for name, count in counts.items()}
    adjusted = await _adjust(admin, own, known, factor)
    return Loaded(**counts, adjusted=adjusted, kept=len(products) - len(own))


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


async def _adjust(admin: httpx.AsyncClient, own: Iterable[Product], known: Known, factor: Decimal) -> int:
    """New products have their opening stock already; retired ones have none."""
    deltas = {
        one.sku: opening_stock(one, factor) - known[one.sku]["available"]
        for one in own
        if one.sku in known and known[one.sku]["status"] == "active"
    }
    deltas = {sku: delta for sku, delta in deltas.items() if delta}

    async def adjust(sku: str) -> None:
        body = {"delta": deltas[sku], "reason": "opening stock of a replay"}
        checked_json(await admin.post(f"/v1/products/{sku}/stock", json=body))

    await for_each(deltas, adjust, CONCURRENT_ADJUSTMENTS)
    return len(deltas)
