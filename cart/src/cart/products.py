"""What cart asks product: which products there are, and what they cost now."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from chassis.outbound.neighbour import Neighbour
from contracts import is_sku

_REMEMBERED = 50_000


class Products:
    """Reads product in one call for any number of skus.

    Products that were seen in the last `known_for` seconds are taken to exist without asking.
    """

    def __init__(
        self, product: Neighbour, *, known_for: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._product = product
        self._known_for = known_for
        self._clock = clock
        self._seen: dict[str, float] = {}

    async def read(self, skus: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The products that exist of those, by sku, as product tells of them. Raises Unavailable, and
        NeighbourRefused: a mistake of ours, and no reason to keep what could not be checked."""
        asked = [sku for sku in skus if is_sku(sku)]  # an old cart may hold what is none
        if not asked:
            return {}
        answer = await self._product.get_json("/v1/products", params={"sku": asked})
        products = {product["sku"]: product for product in answer.json()["items"]}
        self._remember(sku for sku, product in products.items() if product["status"] == "active")
        return products

    async def not_for_sale(self, skus: Iterable[str]) -> list[str]:
        """Which of those are unknown or retired. Raises Unavailable."""
        since = self._clock() - self._known_for
        unsure = [sku for sku in skus if self._seen.get(sku, since) <= since]
        products = await self.read(unsure)
        return [sku for sku in unsure if sku not in products or products[sku]["status"] != "active"]

    def _remember(self, skus: Iterable[str]) -> None:
        if len(self._seen) > _REMEMBERED:
            self._seen.clear()
        self._seen.update(dict.fromkeys(skus, self._clock()))
