"""Prices for many checkouts: who shares a read with whom, and what becomes of it when it fails."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from chassis.errors import Unavailable
from chassis.outbound.service_client import RequestRejected
from order.clients import Offers
from order.pricing import Offer


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
def offers(product: Product) -> Offers:
    return Offers(product.read, linger=0.001, per_call=3, shared=2)


def load(offers: Offers, *skus: str) -> "asyncio.Task[Mapping[str, Offer]]":
    return asyncio.create_task(offers.load(skus))


async def test_those_who_ask_together_share_a_read(product: Product, offers: Offers) -> None:
    first, second = await asyncio.gather(load(offers, "A", "B"), load(offers, "B", "C"))
    assert product.reads == [["A", "B", "C"]]
    assert (set(first), set(second)) == ({"A", "B"}, {"B", "C"})


async def test_those_who_ask_during_a_read_share_the_next_one(product: Product, offers: Offers) -> None:
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


async def test_nothing_is_kept(product: Product, offers: Offers) -> None:
    assert (await offers.load(["A"]))["A"].price == 100
    product.price = 200
    assert (await offers.load(["A"]))["A"].price == 200


async def test_a_read_asks_for_so_many_at_most(product: Product, offers: Offers) -> None:
    found = await offers.load(["A", "B", "C", "D", "E", "F", "G"])
    assert set(found) == set("ABCDEFG")
    assert product.reads == [["A", "B", "C"], ["D", "E", "F"], ["G"]]


async def test_a_shared_read_asks_for_so_many_at_most_and_breaks_no_cart_in_two(
    product: Product, offers: Offers
) -> None:
    await asyncio.gather(load(offers, "A", "B"), load(offers, "C", "D"), load(offers, "A", "E"))
    assert product.reads == [["A", "B", "E"], ["C", "D"]]


async def test_nobody_waits_for_a_large_cart(product: Product, offers: Offers) -> None:
    large, small = load(offers, "A", "B", "C"), load(offers, "D")
    await product.asked(2)
    await asyncio.gather(large, small)
    assert product.reads == [["A", "B", "C"], ["D"]]


async def test_a_shared_read_that_is_refused_fails_for_the_guilty_one_alone(
    product: Product, offers: Offers
) -> None:
    product.refused = {"A"}
    waiting = [load(offers, "A"), load(offers, "B"), load(offers, "C")]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [RequestRejected, dict, dict]
    assert product.reads == [["A", "B", "C"], ["A"], ["B"], ["C"]]


async def test_a_read_that_nobody_shares_is_refused_once(product: Product, offers: Offers) -> None:
    product.refused = {"A"}
    with pytest.raises(RequestRejected):
        await offers.load(["A"])
    assert product.reads == [["A"]]


async def test_what_is_not_sold_is_left_out(offers: Offers) -> None:
    assert set(await offers.load(["A", "GONE"])) == {"A"}


async def test_nothing_asked_is_nothing_read(product: Product, offers: Offers) -> None:
    assert await offers.load([]) == {}
    assert product.reads == []


async def test_a_read_that_fails_fails_for_all_who_waited_for_it_and_no_others(
    product: Product, offers: Offers
) -> None:
    product.broken = {"A"}
    waiting = [load(offers, "A"), load(offers, "B"), load(offers, "C"), load(offers, "D")]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable, Unavailable, Unavailable, dict]
    product.broken.clear()
    assert set(await offers.load(["A"])) == {"A"}


async def test_one_who_leaves_does_not_disturb_the_others(product: Product, offers: Offers) -> None:
    product.open.clear()
    leaving, staying = load(offers, "A"), load(offers, "A")
    await product.asked(1)
    leaving.cancel()
    product.open.set()
    assert set(await staying) == {"A"}
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_a_failure_that_nobody_waits_for_any_more_is_no_news(product: Product, offers: Offers) -> None:
    product.open.clear()
    product.broken = {"A"}
    leaving = load(offers, "A")
    await product.asked(1)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    product.open.set()
    assert set(await offers.load(["B"])) == {"B"}


async def test_closing_lets_nobody_wait_for_ever(product: Product, offers: Offers) -> None:
    product.open.clear()
    reading = load(offers, "A")
    await product.asked(1)
    queued = load(offers, "B")
    await asyncio.sleep(0)
    await offers.aclose()
    async with asyncio.timeout(10):
        results = await asyncio.gather(reading, queued, return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable, Unavailable]
