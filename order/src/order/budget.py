"""How many lines may be ordered: every line costs each service its share of work, and so everybody else time.

Each shopper has a limit for a minute. The database counts it, so that all copies of the service count
together; what it has refused is remembered here until it can be otherwise, so that asking again at once costs
neither a price nor a statement. And because shoppers cost nothing to make, large orders share a rate as well,
guests' and accounts' each their own, in every process: many who order much wait for one another, and nobody
else waits for them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from chassis.http.problems import TooManyRequests

WINDOW = 60  # seconds
_MOST_REMEMBERED = 10_000


class TooManyLines(TooManyRequests):
    """429: the shopper has ordered as many lines in the last minute as one may."""

    type = "/problems/too-many-lines"
    title = "Too many lines in a minute"


class TooManyLargeOrders(TooManyRequests):
    """429: other large orders come first."""

    type = "/problems/too-many-large-orders"
    title = "Too many large orders"


@dataclass
class Rate:
    """A token bucket: `per_second` on average, and `at_once` after a pause."""

    per_second: float
    at_once: float
    clock: Callable[[], float] = time.monotonic
    _spent: float = 0
    _seen: float = 0

    def take(self, amount: float) -> float:
        """Returns the seconds to wait; 0 if the amount was taken."""
        now = self.clock()
        self._spent = max(0, self._spent - (now - self._seen) * self.per_second)
        self._seen = now
        excess = self._spent + amount - self.at_once
        if excess > 0:
            return excess / self.per_second
        self._spent += amount
        return 0


@dataclass
class LineBudget:
    """What one class of shoppers, guests or accounts, may order: `per_minute` lines each, and orders of more
    than `large` lines at a rate that all of them share."""

    per_minute: int
    large: int
    rate: Rate
    clock: Callable[[], float] = time.monotonic
    _refused: dict[UUID, tuple[float, int]] = field(default_factory=dict)

    def check(self, shopper: UUID, lines: int) -> None:
        """Raises TooManyLines if that many were refused just now, and nothing can have changed since."""
        until, room = self._refused.get(shopper, (0, lines))
        wait = until - self.clock()
        if lines > room and wait > 0:
            raise _too_many(wait)

    def spend(self, shopper: UUID, lines: int) -> None:
        """The cart has been read, and what follows costs by its lines. Raises TooManyLines,
        TooManyLargeOrders."""
        self.check(shopper, lines)
        if lines > self.large and (wait := self.rate.take(lines)):
            raise TooManyLargeOrders("Other large orders come first.", retry_after=wait)

    def refusal(self, shopper: UUID, ordered: int, wait: float) -> TooManyLines:
        """What the database has refused: `ordered` lines count against the limit, the first of them for
        `wait` more seconds."""
        if len(self._refused) >= _MOST_REMEMBERED:
            self._refused.clear()
        self._refused[shopper] = self.clock() + wait, self.per_minute - ordered
        return _too_many(wait)


@dataclass(frozen=True)
class Budgets:
    """A process's."""

    guests: LineBudget
    accounts: LineBudget

    def of(self, *, guest: bool) -> LineBudget:
        """The shopper's."""
        return self.guests if guest else self.accounts


def _too_many(wait: float) -> TooManyLines:
    return TooManyLines(f"Some of your lines of the last {WINDOW} s must pass first.", retry_after=wait)
