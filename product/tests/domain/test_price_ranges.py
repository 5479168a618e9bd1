"""Price ranges have round bounds and leave no price out."""

from hypothesis import given
from hypothesis import strategies as st

from product.price_ranges import bounds, ranges, round_price


def test_prices_are_rounded_to_one_two_or_five() -> None:
    rounded = [round_price(price, 1) for price in (0, 1, 3, 8, 30, 299, 340, 8000, 99_999_999)]
    assert rounded == [1, 1, 2, 10, 20, 200, 500, 10_000, 100_000_000]


def test_a_bound_can_be_charged_in_the_currency() -> None:
    assert bounds([3, 40, 260, 900], step=100) == [100, 200, 1000]


def test_prices_that_are_alike_share_a_range() -> None:
    assert bounds([480, 500, 510, 530], step=1) == [500]


def test_ranges_follow_each_other() -> None:
    assert ranges([100, 500]) == [(None, 99), (100, 499), (500, None)]
    assert ranges([]) == [(None, None)]


@given(st.lists(st.integers(0, 10**8), max_size=5), st.integers(0, 10**8))
def test_every_price_is_in_one_range(prices: list[int], price: int) -> None:
    found = [
        (first, last)
        for first, last in ranges(bounds(prices, 1))
        if (first is None or first <= price) and (last is None or price <= last)
    ]
    assert len(found) == 1
