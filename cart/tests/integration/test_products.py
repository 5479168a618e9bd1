"""Which products cart takes to be for sale, and for how long."""

import pytest

from cart.products import Products
from chassis.errors import Unavailable

from ..conftest import FakeProduct


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_product_is_read_again_after_a_while(product_service: FakeProduct) -> None:
    clock = Clock()
    products = Products(product_service, known_for=30, clock=clock)
    for clock.now in (0, 29, 31):
        assert await products.not_for_sale(["A"]) == []
    assert product_service.reads == [["A"], ["A"]]


async def test_only_unknown_products_are_read(product_service: FakeProduct) -> None:
    products = Products(product_service, known_for=30, clock=Clock())
    await products.not_for_sale(["A"])
    assert await products.not_for_sale(["A", "B", "none"]) == ["none"]
    assert product_service.reads == [["A"], ["B", "none"]]


async def test_a_retired_product_is_read_again_each_time(product_service: FakeProduct) -> None:
    products = Products(product_service, known_for=30, clock=Clock())
    product_service.put("A", status="retired")
    assert await products.not_for_sale(["A"]) == ["A"]
    product_service.put("A")
    assert await products.not_for_sale(["A"]) == []


async def test_a_known_product_needs_no_read(product_service: FakeProduct) -> None:
    products = Products(product_service, known_for=30, clock=Clock())
    await products.not_for_sale(["A"])
    product_service.down = True
    assert await products.not_for_sale(["A"]) == []
    with pytest.raises(Unavailable):
        await products.not_for_sale(["B"])
