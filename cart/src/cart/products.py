"""A client for the product service: which products exist, what they cost now, and how many there are."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chassis.errors import Unavailable
from chassis.outbound import ServiceClient
from contracts import ShortLine, is_sku

_REMEMBERED = 50_000


@dataclass(frozen=True, slots=True)
class _Seen:
    """A product for sale: when it was read, and how many pieces were available then."""

    at: float
    available: int


@dataclass(frozen=True, slots=True)
class Stock:
    """How many pieces of each product are available; those that are not for sale are missing. Or, if that is
    not known because the product service is unavailable, the `reason`."""

    available: Mapping[str, int]
    reason: str | None = None

    def not_for_sale(self, skus: Iterable[str]) -> list[str]:
        """Which of those are unknown or retired, as far as that is known."""
        return [] if self.reason else [sku for sku in skus if sku not in self.available]

    def short(self, wanted: Mapping[str, int]) -> list[ShortLine]:
        """Of which of those fewer pieces are available than wanted."""
        return [
            ShortLine(sku=sku, wanted=pieces, available=self.available[sku])
            for sku, pieces in sorted(wanted.items())
            if self.available.get(sku, pieces) < pieces
        ]


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
        self._seen: dict[str, _Seen] = {}

    async def read(self, skus: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Those of the products that exist, by sku. Raises Unavailable, and RequestRejected, which means a
        bug here and must not let unchecked items into a cart."""
        valid = [sku for sku in skus if is_sku(sku)]  # an old cart may contain other text
        if not valid:
            return {}
        answer = await self._product.get_json("/v1/products", params={"sku": valid})
        products = {product["sku"]: product for product in answer.json()["items"]}
        if len(self._seen) > _REMEMBERED:
            self._seen.clear()
        now = self._clock()
        self._seen.update(
            (sku, _Seen(now, product["available"]))
            for sku, product in products.items()
            if product["status"] == "active"
        )
        return products

    async def stock(self, wanted: Mapping[str, int]) -> Stock:
        """Of the wanted products. What is remembered is not read again, unless more pieces are wanted than
        were available."""
        since = self._clock() - self._known_for
        remembered = {sku: self._seen[sku] for sku in wanted if sku in self._seen}
        known = {
            sku: seen.available
            for sku, seen in remembered.items()
            if seen.at > since and seen.available >= wanted[sku]
        }
        try:
            products = await self.read([sku for sku in wanted if sku not in known])
        except Unavailable as error:
            return Stock(known, reason=str(error))
        read = {sku: one["available"] for sku, one in products.items() if one["status"] == "active"}
        return Stock(known | read)
