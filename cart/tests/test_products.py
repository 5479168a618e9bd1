"""What cart remembers of product, and for how long."""

from typing import Any

import pytest

from cart.products import Products
from chassis.errors import Unavailable


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_product_is_asked_for_again_when_long_not_seen(shelf: Any) -> None:
    clock = Clock()
    products = Products(shelf, known_for=30, clock=clock)
    for clock.now in (0, 29, 31):
        assert await products.not_for_sale(["A"]) == []
    assert shelf.reads == [["A"], ["A"]]


async def test_only_what_is_not_known_is_asked_for(shelf: Any) -> None:
    products = Products(shelf, known_for=30, clock=Clock())
    await products.not_for_sale(["A"])
    assert await products.not_for_sale(["A", "B", "none"]) == ["none"]
    assert shelf.reads == [["A"], ["B", "none"]]


async def test_a_refusal_is_not_remembered(shelf: Any) -> None:
    products = Products(shelf, known_for=30, clock=Clock())
    shelf.put("A", status="retired")
    assert await products.not_for_sale(["A"]) == ["A"]
    shelf.put("A")
    assert await products.not_for_sale(["A"]) == []


async def test_what_was_seen_needs_no_product(shelf: Any) -> None:
    products = Products(shelf, known_for=30, clock=Clock())
    await products.not_for_sale(["A"])
    shelf.down = True
    assert await products.not_for_sale(["A"]) == []
    with pytest.raises(Unavailable):
        await products.not_for_sale(["B"])
