"""Before a replay: what is left to play, and the catalogue for it."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import httpx

from lab.replay.catalogue import Loaded, Offer, find, load, offers_of, products_of, to_sell
from lab.replay.invoices import Invoice
from lab.replay.journal import Journal
from lab.replay.plan import Order, Sale, Step, resumed
from shop.errors import ShopError


@dataclass(frozen=True)
class Prepared:
    """All steps, `Placed` where an earlier replay has played them, and what the shop sells for the others."""

    steps: Sequence[Step]
    loaded: Loaded
    offers: dict[str, Offer]


async def prepare(
    admin: httpx.AsyncClient, steps: Sequence[Step], journal: Journal | None, factor: Decimal, timeout: float
) -> Prepared:
    """Find what earlier replays have played, if there is a `journal`, and load the catalogue for the rest, of
    which `factor` times as much is in stock as is to be sold. Raises ShopError."""
    sales = _sales(steps)
    try:
        if journal is not None:
            steps = resumed(steps, await _earlier_orders(admin, journal, sales, timeout))
        products = to_sell(products_of(sales), _sales(steps))
        known = await find(admin, [one.sku for one in products])
        loaded = await load(admin, products, known, factor)
    except httpx.TransportError as error:
        raise ShopError(
            f"the shop stopped answering before anything was played ({type(error).__name__}):"
            " look at `shop status`, then replay again"
        ) from error
    return Prepared(steps, loaded, offers_of(products, known))


def _sales(steps: Sequence[Step]) -> list[Invoice]:
    return [step.invoice for step in steps if isinstance(step, Sale)]


async def _earlier_orders(
    admin: httpx.AsyncClient, journal: Journal, sales: Sequence[Invoice], timeout: float
) -> dict[str, Order]:
    """By invoice number. Those that a killed replay has left pending get `timeout` seconds to end."""
    until = time.monotonic() + timeout
    while True:
        orders = await journal.orders(admin, sales)
        if time.monotonic() > until or all(order.status != "pending" for order in orders.values()):
            return orders
        await asyncio.sleep(1)
