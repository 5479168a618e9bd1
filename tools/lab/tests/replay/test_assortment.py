"""A catalogue has one name and one price for a product, whatever the invoices say."""

from collections.abc import Callable

from lab.replay.assortment import Good, assortment, repriced
from lab.replay.invoices import Book
from tools.lab.tests.replay.sheets import row


def test_the_commonest_price_is_the_catalogues_and_the_others_are_counted(book: Callable[..., Book]) -> None:
    sales = book(row("1", price="5.17"), row("2", price="2.55"), row("3", price="2.55")).invoices

    goods = assortment(sales)

    assert goods == {"85123A": Good("85123A", "WHITE LANTERN", 255, 18)}
    assert repriced(sales, goods) == 1


def test_of_prices_as_common_the_first_counts(book: Callable[..., Book]) -> None:
    sales = book(row("1", price="5.17"), row("2", price="2.55")).invoices

    assert assortment(sales)["85123A"].price == 517


def test_a_product_that_nobody_named_bears_its_code(book: Callable[..., Book]) -> None:
    sales = book(row(name="")).invoices

    assert assortment(sales)["85123A"].name == "85123A"


def test_codes_that_differ_in_case_are_two_products(book: Callable[..., Book]) -> None:
    assert list(assortment(book(row(sku="15056bl"), row(sku="15056BL")).invoices)) == ["15056bl", "15056BL"]
