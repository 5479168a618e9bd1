"""Rate limits on ordered lines: every line costs work in each service, and so delays other shoppers.

Each shopper has a limit per minute, counted in the database for all replicas together. A refusal is
remembered in this process until the limit allows more, so that immediate retries read no price and run no
statement. Because anybody can create guests for free, large orders also share a rate in each process, one for
guests and one for accounts: large orders wait for each other, and small ones do not wait for them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from order.problems import TooManyLargeOrders, TooManyLines

WINDOW = timedelta(minutes=1)
_MOST_REMEMBERED = 10_000


@dataclass
class Rate:
    """A token bucket: `per_second` on average, in bursts of at most `at_once`."""

    per_second: float
    at_once: float
    clock: Callable[[], float] = time.monotonic
    _spent: float = 0
    _updated_at: float = 0

    def take(self, amount: float) -> float:
        """Returns the seconds to wait; 0 if the amount was taken."""
        now = self.clock()
        self._spent = max(0, self._spent - (now - self._updated_at) * self.per_second)
        self._updated_at = now
        excess = self._spent + amount - self.at_once
        if excess > 0:
            return excess / self.per_second
        self._spent += amount
        return 0


@dataclass
class LineBudget:
    """The limits for guests, or for accounts: each may order `per_minute` lines, and orders of more than
    `large` lines share a `rate`."""

    per_minute: int
    large: int
    rate: Rate
    clock: Callable[[], float] = time.monotonic
    _refused: dict[UUID, tuple[float, int]] = field(default_factory=dict)

    def check(self, shopper: UUID, lines: int) -> None:
        """Raises TooManyLines if the last refusal still applies to that many lines."""
        until, room = self._refused.get(shopper, (0, lines))
        wait = until - self.clock()
        if lines > room and wait > 0:
            raise _too_many(wait)

    def spend(self, shopper: UUID, lines: int) -> None:
        """Called once the number of lines is known, before prices are read. Raises TooManyLines,
        TooManyLargeOrders."""
        self.check(shopper, lines)
        if lines > self.large and (wait := self.rate.take(lines)):
            raise TooManyLargeOrders("Too many large orders at this moment.", retry_after=wait)

    def refusal(self, shopper: UUID, ordered: int, wait: float) -> TooManyLines:
        """Remember a refusal by the database: `ordered` lines count towards the limit, the first of them for
        `wait` more seconds."""
        if len(self._refused) >= _MOST_REMEMBERED:
            self._refused.clear()
        self._refused[shopper] = self.clock() + wait, self.per_minute - ordered
        return _too_many(wait)


def _too_many(wait: float) -> TooManyLines:
    seconds = WINDOW.seconds
    return TooManyLines(f"You have ordered too many lines in the last {seconds} seconds.", retry_after=wait)
