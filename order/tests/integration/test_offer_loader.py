"""The dataloader of prices: which requests share a read, and what happens when it fails."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from chassis.errors import Unavailable
from chassis.outbound import RequestRejected
from order.clients import OfferLoader
from order.pricing import Offer
from order.settings import Settings


class Product:
    """Answers reads when a test lets it."""

    def __init__(self) -> None:
        self.reads: list[list[str]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.broken: set[str] = set()
        self.refused: set[str] = set()
        self.price = 100

    async def read(self, skus: Sequence[str]) -> dict[str, Offer]:
        self.reads.append([*skus])
        await asyncio.wait_for(self.open.wait(), 10)
        if self.broken & {*skus}:
            raise Unavailable("product does not answer.")
        if self.refused & {*skus}:
            raise RequestRejected("product", 400, b"")
        return {sku: Offer(sku, sku, self.price, "GBP") for sku in skus if sku != "GONE"}

    async def asked(self, times: int) -> None:
        async with asyncio.timeout(10):
            while len(self.reads) < times:
                await asyncio.sleep(0)


@pytest.fixture
def product() -> Product:
    return Product()


@pytest.fixture
def offers(product: Product) -> OfferLoader:
    settings = Settings.model_construct(price_linger=0.001, prices_per_call=3, prices_shared=2)
    return OfferLoader(settings, product.read)


def load(offers: OfferLoader, *skus: str) -> "asyncio.Task[Mapping[str, Offer]]":
    return asyncio.create_task(offers.load(skus))


async def test_requests_at_the_same_moment_share_a_read(product: Product, offers: OfferLoader) -> None:
    first, second = await asyncio.gather(load(offers, "A", "B"), load(offers, "B", "C"))
    assert product.reads == [["A", "B", "C"]]
    assert (set(first), set(second)) == ({"A", "B"}, {"B", "C"})


async def test_requests_during_a_read_share_the_next_one(product: Product, offers: OfferLoader) -> None:
    product.open.clear()
    first = load(offers, "A")
    await product.asked(1)
    later = [load(offers, "A"), load(offers, "B")]
    await asyncio.sleep(0)
    product.price = 200
    product.open.set()
    assert [found["A"].price for found in (await first, await later[0])] == [200, 200]
    await later[1]
    assert product.reads == [["A"], ["A", "B"]]


async def test_nothing_is_cached(product: Product, offers: OfferLoader) -> None:
    assert (await offers.load(["A"]))["A"].price == 100
    product.price = 200
    assert (await offers.load(["A"]))["A"].price == 200


async def test_a_read_has_a_maximum_number_of_products(product: Product, offers: OfferLoader) -> None:
    found = await offers.load(["A", "B", "C", "D", "E", "F", "G"])
    assert set(found) == set("ABCDEFG")
    assert product.reads == [["A", "B", "C"], ["D", "E", "F"], ["G"]]


async def test_a_shared_read_has_a_maximum_number_of_products_and_splits_no_cart(
    product: Product, offers: OfferLoader
) -> None:
    await asyncio.gather(load(offers, "A", "B"), load(offers, "C", "D"), load(offers, "A", "E"))
    assert product.reads == [["A", "B", "E"], ["C", "D"]]


async def test_nobody_waits_for_a_large_cart(product: Product, offers: OfferLoader) -> None:
    large, small = load(offers, "A", "B", "C"), load(offers, "D")
    await product.asked(2)
    await asyncio.gather(large, small)
    assert product.reads == [["A", "B", "C"], ["D"]]


async def test_a_rejected_shared_read_fails_only_the_request_that_caused_it(
    product: Product, offers: OfferLoader
) -> None:
    product.refused = {"A"}
    waiting = [load(offers, "A"), load(offers, "B"), load(offers, "C")]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [RequestRejected, dict, dict]
    assert product.reads == [["A", "B", "C"], ["A"], ["B"], ["C"]]


async def test_a_rejected_unshared_read_is_not_repeated(product: Product, offers: OfferLoader) -> None:
    product.refused = {"A"}
    with pytest.raises(RequestRejected):
        await offers.load(["A"])
    assert product.reads == [["A"]]


async def test_what_is_not_sold_is_left_out(offers: OfferLoader) -> None:
    assert set(await offers.load(["A", "GONE"])) == {"A"}


async def test_without_skus_nothing_is_read(product: Product, offers: OfferLoader) -> None:
    assert await offers.load([]) == {}
    assert product.reads == []


async def test_a_failed_read_fails_only_the_requests_that_waited_for_it(
    product: Product, offers: OfferLoader
) -> None:
    product.broken = {"A"}
    waiting = [load(offers, "A"), load(offers, "B"), load(offers, "C"), load(offers, "D")]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable, Unavailable, Unavailable, dict]
    product.broken.clear()
    assert set(await offers.load(["A"])) == {"A"}


async def test_a_cancelled_request_does_not_disturb_the_others(product: Product, offers: OfferLoader) -> None:
    product.open.clear()
    leaving, staying = load(offers, "A"), load(offers, "A")
    await product.asked(1)
    leaving.cancel()
    product.open.set()
    assert set(await staying) == {"A"}
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_a_failure_that_nobody_waits_for_is_not_logged(product: Product, offers: OfferLoader) -> None:
    product.open.clear()
    product.broken = {"A"}
    leaving = load(offers, "A")
    await product.asked(1)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    product.open.set()
    assert set(await offers.load(["B"])) == {"B"}


async def test_closing_ends_all_waiting_requests(product: Product, offers: OfferLoader) -> None:
    product.open.clear()
    reading = load(offers, "A")
    await product.asked(1)
    queued = load(offers, "B")
    await asyncio.sleep(0)
    await offers.aclose()
    async with asyncio.timeout(10):
        results = await asyncio.gather(reading, queued, return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable, Unavailable]
