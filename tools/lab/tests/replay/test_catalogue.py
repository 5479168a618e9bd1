"""The catalogue goes in calls that the gateway lets through, and opens with the stock that was asked for."""

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest

from lab.replay.assortment import Good
from lab.replay.catalogue import MOST_AT_ONCE, MOST_BYTES, Loaded, batches, load, opening
from shop.errors import ShopError

GOODS = [Good("85123A", "LANTERN", 255, 10), Good("71053", "HANGER", 339, 5), Good("POPPY", "POPPY", 1, 7)]


class Shelf:
    """Product as an administrator sees it: bulk puts, reads and adjustments."""

    def __init__(self, **available: int) -> None:
        self.available = available
        self.retired: set[str] = set()
        self.broken = False

    async def load(self, factor: str) -> Loaded:
        transport = httpx.MockTransport(self._answer)
        async with httpx.AsyncClient(base_url="http://shop", transport=transport) as admin:
            return await load(admin, GOODS, Decimal(factor))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/products/bulk":
            return self._put(json.loads(request.content)["items"])
        if request.method == "GET":
            items = [self._item(sku) for sku in request.url.params.get_list("sku")]
            return httpx.Response(200, json={"items": items})
        if self.broken:
            raise httpx.ReadTimeout("too slow")
        sku = request.url.path.split("/")[3]
        self.available[sku] += json.loads(request.content)["delta"]
        return httpx.Response(200, json={})

    def _put(self, items: list[dict[str, Any]]) -> httpx.Response:
        new = {item["sku"]: item["stock"] for item in items if item["sku"] not in self.available}
        self.available |= new
        return httpx.Response(
            200, json={"created": len(new), "changed": 0, "unchanged": len(items) - len(new)}
        )

    def _item(self, sku: str) -> dict[str, Any]:
        retired = sku in self.retired
        available = 0 if retired else self.available[sku]
        return {"sku": sku, "available": available, "status": "retired" if retired else "active"}


async def test_new_products_open_with_what_is_sold() -> None:
    shelf = Shelf()

    assert await shelf.load("1") == Loaded(created=3, changed=0, unchanged=0, adjusted=0)
    assert shelf.available == {"85123A": 10, "71053": 5, "POPPY": 7}


async def test_products_that_are_there_are_brought_to_level_up_or_down() -> None:
    shelf = Shelf(**{"85123A": 0, "71053": 50, "POPPY": 7})

    assert await shelf.load("1") == Loaded(created=0, changed=0, unchanged=3, adjusted=2)
    assert shelf.available == {"85123A": 10, "71053": 5, "POPPY": 7}


async def test_a_retired_product_stays_as_it_is() -> None:
    shelf = Shelf(**{"85123A": 3, "71053": 5, "POPPY": 7})
    shelf.retired.add("85123A")

    await shelf.load("1")

    assert shelf.available["85123A"] == 3


async def test_a_shop_that_goes_away_meanwhile_is_told_in_a_line() -> None:
    shelf = Shelf(**{"85123A": 3, "71053": 4, "POPPY": 7})
    shelf.broken = True

    with pytest.raises(ShopError, match=r"stopped answering .*: look at `shop status`, then replay again$"):
        await shelf.load("1")


@pytest.mark.parametrize(("factor", "pieces"), [("0", 0), ("0.5", 5), ("0.29", 2), ("1", 10), ("2.5", 25)])
def test_opening_stock_is_a_share_of_what_is_sold_rounded_down(factor: str, pieces: int) -> None:
    assert opening(GOODS[0], Decimal(factor)) == pieces


def test_opening_stock_is_no_more_than_product_takes() -> None:
    assert opening(Good("71053", "HANGER", 339, 999_999), Decimal(2)) == 1_000_000


def test_no_call_carries_more_than_it_may() -> None:
    small = [{"sku": str(n)} for n in range(2500)]
    large = [{"sku": str(n), "name": "N" * 190} for n in range(1000)]

    assert [len(batch) for batch in batches(small)] == [MOST_AT_ONCE, MOST_AT_ONCE, 500]
    assert all(len(json.dumps(batch, separators=(",", ":"))) < MOST_BYTES + 2 for batch in batches(large))
    assert [product for batch in batches(large) for product in batch] == large
