"""How many lines may be ordered, by the clock."""

from uuid import uuid4

import pytest

from order.budget import LineBudget, Rate
from order.problems import TooManyLargeOrders, TooManyLines

ADA, BOB = uuid4(), uuid4()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_rate_allows_a_burst_and_then_says_how_long_to_wait() -> None:
    clock = Clock()
    rate = Rate(10, 20, clock)
    assert (rate.take(20), rate.take(5)) == (0, 0.5)
    clock.now = 0.5
    assert (rate.take(5), rate.take(1)) == (0, 0.1)
    clock.now = 1000
    assert (rate.take(20), rate.take(1)) == (0, 0.1)


def test_large_orders_share_a_rate_and_small_ones_do_not_wait() -> None:
    clock = Clock()
    budget = LineBudget(1000, 50, Rate(100, 1000, clock), clock)
    budget.spend(ADA, 1000)
    with pytest.raises(TooManyLargeOrders) as refused:
        budget.spend(BOB, 200)
    assert refused.value.headers["Retry-After"] == "2"
    for _ in range(100):
        budget.spend(BOB, 50)
    clock.now = 2
    budget.spend(BOB, 200)


def test_a_refusal_is_remembered_until_the_limit_allows_more_and_not_for_fewer_lines() -> None:
    clock = Clock()
    budget = LineBudget(100, 50, Rate(1000, 1000, clock), clock)
    budget.check(ADA, 100)
    refusal = budget.refusal(ADA, ordered=70, wait=12.3)
    assert refusal.headers["Retry-After"] == "13"
    budget.check(ADA, 30)
    budget.check(BOB, 100)
    with pytest.raises(TooManyLines):
        budget.check(ADA, 31)
    clock.now = 12.4
    budget.check(ADA, 31)
