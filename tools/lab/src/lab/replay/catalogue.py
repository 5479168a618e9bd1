"""The catalogue of a replay: its products go through the gateway, and their stock is brought to level."""

import asyncio
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx

from lab.replay.assortment import Good
from shop.errors import ShopError
from shop.gateway import checked_json

MOST_AT_ONCE = 1000  # products that product takes in one call
MOST_BYTES = 60_000  # below the 64 KB that the gateway lets through
MOST_IN_ADDRESS = 200  # stock codes of up to 32 characters in an address of 8 KB
MOST_PIECES = 1_000_000  # that product takes as opening stock
ADJUSTED_AT_ONCE = 8


@dataclass(frozen=True)
class Loaded:
    """What became of the products; `adjusted` had another stock than the replay opens with."""

    created: int
    changed: int
    unchanged: int
    adjusted: int


def opening(good: Good, factor: Decimal) -> int:
    """Pieces to begin with: `factor` times what the invoices sell, rounded down."""
    return min(int(good.sold * factor), MOST_PIECES)


async def load(admin: httpx.AsyncClient, goods: Sequence[Good], factor: Decimal) -> Loaded:
    """Put the goods and bring each to its opening stock. May be repeated. Raises ShopError."""
    try:
        counts = await _put(admin, [_product(good, factor) for good in goods])
        return Loaded(**counts, adjusted=await _adjust(admin, goods, factor))
    except httpx.TransportError as error:
        raise ShopError(
            f"the shop stopped answering while the catalogue was loaded ({type(error).__name__}):"
            " look at `shop status`, then replay again"
        ) from error


def batches(products: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """As many in each as one call may carry."""
    batch: list[dict[str, Any]] = []
    size = 0
    for product in products:
        length = len(json.dumps(product)) + 1  # at least what is sent
        if batch and (len(batch) == MOST_AT_ONCE or size + length > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(product)
        size += length
    if batch:
        yield batch


async def _put(admin: httpx.AsyncClient, products: list[dict[str, Any]]) -> dict[str, int]:
    counts = {"created": 0, "changed": 0, "unchanged": 0}
    for batch in batches(products):
        answer = checked_json(await admin.post("/v1/products/bulk", json={"items": batch}))
        counts = {name: count + answer[name] for name, count in counts.items()}
    return counts


async def _adjust(admin: httpx.AsyncClient, goods: Sequence[Good], factor: Decimal) -> int:
    off: dict[str, int] = {}
    for start in range(0, len(goods), MOST_IN_ADDRESS):
        some = goods[start : start + MOST_IN_ADDRESS]
        found = checked_json(await admin.get("/v1/products", params={"sku": [good.sku for good in some]}))[
            "items"
        ]
        available = {item["sku"]: item["available"] for item in found if item["status"] == "active"}
        deltas = {
            good.sku: opening(good, factor) - available[good.sku] for good in some if good.sku in available
        }
        off |= {sku: delta for sku, delta in deltas.items() if delta}
    gate = asyncio.Semaphore(ADJUSTED_AT_ONCE)

    async def adjust(sku: str, delta: int) -> None:
        body = {"delta": delta, "reason": "opening stock of a replay"}
        async with gate:
            checked_json(await admin.post(f"/v1/products/{sku}/stock", json=body))

    tasks = [asyncio.create_task(adjust(sku, delta)) for sku, delta in off.items()]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
    return len(off)


def _product(good: Good, factor: Decimal) -> dict[str, Any]:
    return {"sku": good.sku, "name": good.name, "price": good.price, "stock": opening(good, factor)}
