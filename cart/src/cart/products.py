"""A client for the product service: which products exist, and what they cost now."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from chassis.outbound import ServiceClient
from contracts import is_sku

_REMEMBERED = 50_000


class Products:
    """Reads any number of products with one request.

    Products that were read as active within the last `known_for` seconds are taken to be for sale.
    """

    def __init__(
        self, product: ServiceClient, *, known_for: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._product = product
        self._known_for = known_for
        self._clock = clock
        self._active_at: dict[str, float] = {}

    async def read(self, skus: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Those of the products that exist, by sku. Raises Unavailable, and RequestRejected, which means a
        bug here and must not let unchecked items into a cart."""
        valid = [sku for sku in skus if is_sku(sku)]  # an old cart may contain other text
        if not valid:
            return {}
        answer = await self._product.get_json("/v1/products", params={"sku": valid})
        products = {product["sku"]: product for product in answer.json()["items"]}
        if len(self._active_at) > _REMEMBERED:
            self._active_at.clear()
        now = self._clock()
        self._active_at.update(
            (sku, now) for sku, product in products.items() if product["status"] == "active"
        )
        return products

    async def not_for_sale(self, skus: Iterable[str]) -> list[str]:
        """Which of those are unknown or retired. Raises Unavailable."""
        since = self._clock() - self._known_for
        unchecked = [sku for sku in skus if self._active_at.get(sku, since) <= since]
        products = await self.read(unchecked)
        return [sku for sku in unchecked if sku not in products or products[sku]["status"] != "active"]
