"""Which products cart takes to be for sale, how many there are, and for how long it remembers that."""

from collections.abc import Sequence

from cart.products import Products

from ..conftest import FakeProduct


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def not_for_sale(products: Products, skus: Sequence[str]) -> list[str]:
    return (await products.stock(dict.fromkeys(skus, 1))).not_for_sale(skus)


async def test_a_product_is_read_again_after_a_while(product_service: FakeProduct) -> None:
    clock = Clock()
    products = Products(product_service, known_for=30, clock=clock)
    for clock.now in (0, 29, 31):
        assert await not_for_sale(products, ["A"]) == []
    assert product_service.reads == [["A"], ["A"]]


async def test_only_unknown_products_are_read(product_service: FakeProduct) -> None:
    products = Products(product_service, known_for=30, clock=Clock())
    await not_for_sale(products, ["A"])
    assert await not_for_sale(products, ["A", "B", "none"]) == ["none"]
    assert product_service.reads == [["A"], ["B", "none"]]


async def test_a_retired_product_is_read_again_each_time(product_service: FakeProduct) -> None:
    products = Products(product_service, known_for=30, clock=Clock())
    product_service.put("A", status="retired")
    assert await not_for_sale(products, ["A"]) == ["A"]
    product_service.put("A")
    assert await not_for_sale(products, ["A"]) == []


async def test_a_known_product_needs_no_read(product_service: FakeProduct) -> None:
    products = Products(product_service, known_for=30, clock=Clock())
    await not_for_sale(products, ["A"])
    product_service.down = True
    assert await not_for_sale(products, ["A"]) == []
    stock = await products.stock({"B": 1})
    assert (stock.reason, stock.not_for_sale(["B"])) == ("product does not answer.", [])


async def test_a_shortage_is_reported(product_service: FakeProduct) -> None:
    wanted = {"A": 6, "B": 5, "none": 1}
    stock = await Products(product_service, known_for=30, clock=Clock()).stock(wanted)
    assert [(line.sku, line.wanted, line.available) for line in stock.short(wanted)] == [("A", 6, 5)]


async def test_a_remembered_number_that_does_not_suffice_is_read_again(product_service: FakeProduct) -> None:
    products = Products(product_service, known_for=30, clock=Clock())
    await products.stock({"A": 1})
    product_service.put("A", available=8)
    assert (await products.stock({"A": 5})).available == {"A": 5}
    assert (await products.stock({"A": 6})).available == {"A": 8}
    assert product_service.reads == [["A"], ["A"]]
