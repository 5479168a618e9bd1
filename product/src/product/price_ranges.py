"""A few price ranges with round bounds, for a catalogue's prices and their currency."""

import math
from collections.abc import Iterable, Sequence

_ROUND = (1, 2, 5, 10)


def round_price(price: int, step: int) -> int:
    """The nearest of 1, 2, 5, 10, 20, 50 …, by ratio, in minor units of a currency in which amounts are
    multiples of `step`."""
    if price <= step:
        return step
    power = int("1".ljust(len(str(price)), "0"))
    nearest = min((power * digit for digit in _ROUND), key=lambda one: abs(math.log(one / price)))
    return max(nearest, step)


def bounds(prices: Iterable[int], step: int) -> list[int]:
    """Where a range ends and the next begins, ascending: prices that share the catalogue evenly, rounded."""
    return sorted({round_price(price, step) for price in prices})


def ranges(bounds: Sequence[int]) -> list[tuple[int | None, int | None]]:
    """The first and the last price of each range; the first and the last range are open."""
    return [*zip((None, *bounds), (*(bound - 1 for bound in bounds), None), strict=True)]
