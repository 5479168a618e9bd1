"""Why a price cannot be charged."""

from contracts import CURRENCIES
from product.schemas import price_problem


def test_the_error_says_which_prices_are_possible() -> None:
    assert price_problem(5124, "KWD") == "must be a multiple of 10: KWD is charged in steps of KWD 0.010"
    assert (
        price_problem(1_000_000, "ISK")
        == "must not be more than 999999: the maximum that can be charged in ISK"
    )
    assert [price_problem(0, code) for code in CURRENCIES] == [None] * len(CURRENCIES)
