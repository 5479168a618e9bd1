"""Each product has one name and one price, and is loaded in requests that the gateway allows."""

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest

from lab.replay.catalogue import (
    BATCH_BYTES,
    BATCH_SIZE,
    CATEGORY,
    Loaded,
    Offer,
    Product,
    batches,
    find,
    load,
    offers_of,
    opening_stock,
    products_of,
    repriced,
    to_sell,
)
from tools.lab.tests.invoice_files import ReadInvoices, row

PRODUCTS = [
    Product("85123A", "LANTERN", 255, 10),
    Product("71053", "HANGER", 339, 5),
    Product("POPPY", "POPPY", 1, 7),
]


class Shelf:
    """Product as an administrator sees it: bulk puts, reads and adjustments."""

    def __init__(self, **available: int) -> None:
        self.available = available
        self.retired: set[str] = set()
        self.foreign: dict[str, dict[str, Any]] = {}
        self.put: list[dict[str, Any]] = []

    async def load(self, factor: str) -> Loaded:
        transport = httpx.MockTransport(self._answer)
        async with httpx.AsyncClient(base_url="http://shop", transport=transport) as admin:
            self.known = await find(admin, [product.sku for product in PRODUCTS])
            return await load(admin, PRODUCTS, self.known, Decimal(factor))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/products/bulk":
            return self._put(json.loads(request.content)["items"])
        if request.method == "GET":
            skus = request.url.params.get_list("sku")
            items = [self._item(sku) for sku in skus if sku in self.available]
            return httpx.Response(200, json={"items": items})
        sku = request.url.path.split("/")[3]
        self.available[sku] += json.loads(request.content)["delta"]
        return httpx.Response(200, json={})

    def _put(self, items: list[dict[str, Any]]) -> httpx.Response:
        self.put += items
        new = {item["sku"]: item["stock"] for item in items if item["sku"] not in self.available}
        self.available |= new
        return httpx.Response(
            200, json={"created": len(new), "changed": 0, "unchanged": len(items) - len(new)}
        )

    def _item(self, sku: str) -> dict[str, Any]:
        retired = sku in self.retired
        available = 0 if retired else self.available[sku]
        item = {"sku": sku, "price": 1, "currency": "GBP", "category": CATEGORY, "available": available}
        return {**item, "status": "retired" if retired else "active", **self.foreign.get(sku, {})}


async def test_new_products_open_with_what_is_sold() -> None:
    shelf = Shelf()

    assert await shelf.load("1") == Loaded(created=3, changed=0, unchanged=0, adjusted=0)
    assert shelf.available == {"85123A": 10, "71053": 5, "POPPY": 7}


async def test_stock_of_known_products_is_adjusted_up_or_down() -> None:
    shelf = Shelf(**{"85123A": 0, "71053": 50, "POPPY": 7})

    assert await shelf.load("1") == Loaded(created=0, changed=0, unchanged=3, adjusted=2)
    assert shelf.available == {"85123A": 10, "71053": 5, "POPPY": 7}


async def test_a_retired_product_is_not_adjusted() -> None:
    shelf = Shelf(**{"85123A": 3, "71053": 5, "POPPY": 7})
    shelf.retired.add("85123A")

    await shelf.load("1")

    assert shelf.available["85123A"] == 3


@pytest.mark.parametrize("foreign", [{"category": None}, {"category": "lamps"}, {"currency": "EUR"}])
async def test_a_product_that_no_replay_has_made_is_sold_as_it_is(foreign: dict[str, Any]) -> None:
    shelf = Shelf(**{"85123A": 3})
    shelf.foreign["85123A"] = {"price": 300, **foreign}

    assert await shelf.load("1") == Loaded(created=2, kept=1)
    assert [item["sku"] for item in shelf.put] == ["71053", "POPPY"]
    assert shelf.available["85123A"] == 3
    offers = offers_of(PRODUCTS, shelf.known)
    assert offers["85123A"] == Offer(300, foreign.get("currency", "GBP"))
    assert offers["71053"] == Offer(339)


async def test_a_product_of_an_earlier_replay_gets_the_price_of_this_one() -> None:
    shelf = Shelf(**{"85123A": 3})

    await shelf.load("1")

    assert offers_of(PRODUCTS, shelf.known)["85123A"] == Offer(255)


async def test_a_retired_product_is_not_offered() -> None:
    shelf = Shelf(**{"85123A": 3})
    shelf.retired.add("85123A")

    await shelf.load("1")

    assert set(offers_of(PRODUCTS, shelf.known)) == {"71053", "POPPY"}


@pytest.mark.parametrize(("factor", "pieces"), [("0", 0), ("0.5", 5), ("0.29", 2), ("1", 10), ("2.5", 25)])
def test_opening_stock_is_a_share_of_what_is_sold_rounded_down(factor: str, pieces: int) -> None:
    assert opening_stock(PRODUCTS[0], Decimal(factor)) == pieces


def test_opening_stock_is_no_more_than_product_takes() -> None:
    assert opening_stock(Product("71053", "HANGER", 339, 999_999), Decimal(2)) == 1_000_000


def test_no_request_is_larger_than_the_gateway_allows() -> None:
    small = [{"sku": str(n)} for n in range(2500)]
    large = [{"sku": str(n), "name": "N" * 190} for n in range(1000)]

    assert [len(batch) for batch in batches(small)] == [BATCH_SIZE, BATCH_SIZE, 500]
    assert all(len(json.dumps(batch, separators=(",", ":"))) < BATCH_BYTES + 2 for batch in batches(large))
    assert [product for batch in batches(large) for product in batch] == large


def test_the_commonest_price_is_the_catalogues_and_the_others_are_counted(invoices_of: ReadInvoices) -> None:
    sales = invoices_of(row("1", price="5.17"), row("2", price="2.55"), row("3", price="2.55")).invoices

    products = products_of(sales)

    assert products == {"85123A": Product("85123A", "WHITE LANTERN", 255, 18)}
    assert repriced(sales, {"85123A": Offer(255)}) == 1


def test_of_equally_common_prices_the_first_counts(invoices_of: ReadInvoices) -> None:
    sales = invoices_of(row("1", price="5.17"), row("2", price="2.55")).invoices

    assert products_of(sales)["85123A"].price == 517


def test_a_product_without_a_name_is_named_by_its_code(invoices_of: ReadInvoices) -> None:
    sales = invoices_of(row(name="")).invoices

    assert products_of(sales)["85123A"].name == "85123A"


def test_only_what_is_left_to_sell_is_stocked_at_the_price_of_all_sales(invoices_of: ReadInvoices) -> None:
    sales = invoices_of(row("1", price="5.17"), row("2"), row("3"), row("3", sku="71053")).invoices

    assert to_sell(products_of(sales), sales[:1]) == [Product("85123A", "WHITE LANTERN", 255, 6)]
