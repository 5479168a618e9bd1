"""Stock, and the holds that orders have on it: nothing is oversold, and no piece is lost."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from contracts import (
    Line,
    OrderCreated,
    OrderReturned,
    ShortLine,
    StockRejected,
    StockReleased,
    StockReserved,
    StockReturned,
)

Status = Literal["active", "retired"]
HoldState = Literal["waiting", "reserved", "rejected", "sold", "released", "restocked", "refused"]

LONGEST_WAIT = timedelta(minutes=10)  # the upper limit of the setting `wait_for_stock`
MOST_WAITING = 500  # orders that may wait for one product; further ones are rejected at once


class BelowZero(Exception):
    """An adjustment would take away more pieces than are on hand."""


class NeverReserved(Exception):
    """An order was paid or returned without a reservation: payment captures only orders that have one."""


@dataclass(eq=False)
class Stock:
    """The pieces of one product. `on_hand + reserved + sold == received`, always, and none is negative.

    `received` is the sum of all adjustments; `status` is the product's; `waiting` maps each order that waits
    for pieces to how many it needs.
    """

    sku: str
    on_hand: int = 0
    reserved: int = 0
    sold: int = 0
    received: int = 0
    status: Status = "active"
    waiting: Mapping[UUID, int] = field(default_factory=dict)

    @property
    def available(self) -> int:
        """Pieces that can be ordered now."""
        return self.on_hand if self.status == "active" else 0

    @property
    def obtainable(self) -> int:
        """Pieces that can be ordered now, or could be if every order that has reserved some were
        cancelled."""
        return self.on_hand + self.reserved if self.status == "active" else 0

    def add_waiting(self, order_id: UUID, pieces: int) -> None:
        """From now on the order waits for that many pieces."""
        self.waiting = {**self.waiting, order_id: pieces}

    def remove_waiting(self, order_id: UUID) -> None:
        """The order does not wait any more."""
        if order_id in self.waiting:
            self.waiting = {one: pieces for one, pieces in self.waiting.items() if one != order_id}

    def orders_to_recheck(self) -> list[UUID]:
        """The orders that need not wait for this product any more: it has enough pieces, or never will."""
        return [
            order_id
            for order_id, pieces in self.waiting.items()
            if pieces <= self.available or pieces > self.obtainable
        ]

    def adjust(self, delta: int) -> None:
        """Add pieces that came in, or write some off. Raises BelowZero."""
        if self.on_hand + delta < 0:
            raise BelowZero
        self.on_hand += delta
        self.received += delta

    def reserve(self, pieces: int) -> None:
        self.on_hand -= pieces
        self.reserved += pieces

    def release(self, pieces: int) -> None:
        self.reserved -= pieces
        self.on_hand += pieces

    def sell(self, pieces: int) -> None:
        self.reserved -= pieces
        self.sold += pieces

    def restock(self, pieces: int) -> None:
        self.sold -= pieces
        self.on_hand += pieces


Stocks = Mapping[str, Stock]


@dataclass(eq=False)
class Hold:
    """The stock that is reserved for one order, and how that ended.

    An order that is `waiting` has nothing reserved. It needs pieces that other orders have reserved, gets all
    its lines as soon as all of them are available, and is rejected once one of them cannot be filled any
    more.

    `refused` is the tombstone of an order that was cancelled, or past its deadline, before anything was
    reserved. `deadline` is the order's, `short` says why it was rejected; `returned` has the pieces of each
    return, by its id; `traceparent` is that of the message that made it wait; `nudges` is how often the saga
    was nudged because the hold was stuck, `nudge_at` when it is due again.
    """

    order_id: UUID
    state: HoldState
    lines: dict[str, int] = field(default_factory=dict)
    short: tuple[ShortLine, ...] = ()
    deadline: datetime | None = None
    returned: dict[str, dict[str, int]] = field(default_factory=dict)
    nudges: int = 0
    nudge_at: datetime | None = None
    waiting_since: datetime | None = None
    traceparent: str | None = None

    @classmethod
    def place(
        cls, order: OrderCreated, stocks: Stocks, now: datetime
    ) -> tuple["Hold", StockReserved | StockRejected | None]:
        """Reserve all lines, or none if one is short. If other orders have reserved what is missing, wait for
        it and return no event yet."""
        hold = cls(order.order_id, "waiting", _pieces(order.lines), deadline=order.deadline)
        known = hold.lines.keys() & stocks.keys()
        outcome = hold._decide(stocks, may_wait=all(len(stocks[sku].waiting) < MOST_WAITING for sku in known))
        if outcome is None:
            hold.waiting_since = now
            for sku, pieces in hold.lines.items():
                stocks[sku].add_waiting(hold.order_id, pieces)
        return hold, outcome

    def recheck(
        self, stocks: Stocks, now: datetime, *, may_wait: bool = True
    ) -> StockReserved | StockRejected | None:
        """Reserve a waiting order's lines if all are available now; reject it if one never will be, or if it
        may not wait any longer; refuse it past its deadline. Otherwise it goes on waiting."""
        if self.state != "waiting":
            return None
        if self.deadline is not None and self.deadline <= now:
            self._refuse(stocks)
            return None
        return self._decide(stocks, may_wait=may_wait)

    def sell(self, stocks: Stocks) -> None:
        """Sell what is still reserved; a released hold sells nothing. Raises NeverReserved."""
        if self.state in ("rejected", "waiting"):
            raise NeverReserved(f"order {self.order_id} was out of stock")
        if self.state == "reserved":
            for sku, pieces in self.lines.items():
                stocks[sku].sell(pieces)
            self.state = "sold"

    def release(self, stocks: Stocks) -> StockReleased | None:
        """Put reserved or sold pieces back, or stop waiting; `None` when there is nothing to put back."""
        if self.state == "reserved":
            for sku, pieces in self.lines.items():
                stocks[sku].release(pieces)
            self.state = "released"
        elif self.state == "sold":
            for sku, pieces in self.lines.items():
                stocks[sku].restock(pieces - sum(one.get(sku, 0) for one in self.returned.values()))
            self.state = "restocked"
        else:
            self._refuse(stocks)
            return None
        return self._released()

    def restock_return(self, returned: OrderReturned, stocks: Stocks) -> StockReturned | None:
        """Restock the pieces of a return, once; `None` if that was done before. Raises NeverReserved."""
        pieces = _pieces(returned.lines)
        if not pieces or str(returned.return_id) in self.returned:
            return None
        if unknown := sorted(pieces.keys() - stocks.keys()):
            raise NeverReserved(
                f"order {self.order_id} returns products that do not exist: {', '.join(unknown)}"
            )
        self.sell(stocks)  # a returned order was paid, even if `order.paid` has not arrived yet
        if self.state != "sold":
            raise NeverReserved(f"order {self.order_id} is returned, but its hold is {self.state}")
        for sku, count in pieces.items():
            stocks[sku].restock(count)
        self.returned = {**self.returned, str(returned.return_id): pieces}
        return self._returned(returned.return_id)

    def events_to_republish(
        self, now: datetime
    ) -> list[StockReserved | StockRejected | StockReleased | StockReturned]:
        """The events about this hold that are still true, for services that have lost them. Past the deadline
        `stock.reserved` is not repeated, so that payment captures no money for it."""
        returns = [self._returned(UUID(one)) for one in self.returned]
        match self.state:
            case "reserved" if self.deadline and now < self.deadline:
                return [StockReserved(order_id=self.order_id), *returns]
            case "rejected" if self.short:
                return [StockRejected(order_id=self.order_id, short=self.short), *returns]
            case "released" | "restocked":
                return [self._released(), *returns]
        return [*returns]

    def count_nudge(self, now: datetime, pause: timedelta, limit: int) -> bool:
        """Whether to nudge the saga of this stuck hold now: `limit` times at most, each after twice the pause
        of the time before."""
        nudge = self.nudges < limit
        if nudge:
            self.nudges += 1
        self.nudge_at = now + pause * 2**self.nudges
        return nudge

    def _returned(self, return_id: UUID) -> StockReturned:
        return StockReturned(order_id=self.order_id, return_id=return_id)

    def _decide(self, stocks: Stocks, *, may_wait: bool) -> StockReserved | StockRejected | None:
        short = tuple(_short(self.lines, stocks))
        if not short:
            self._stop_waiting(stocks)
            for sku, pieces in self.lines.items():
                stocks[sku].reserve(pieces)
            self.state = "reserved"
            return StockReserved(order_id=self.order_id)
        if may_wait and all(one.wanted <= _obtainable(one.sku, stocks) for one in short):
            return None
        self._stop_waiting(stocks)
        self.state, self.short = "rejected", short
        return StockRejected(order_id=self.order_id, short=short)

    def _refuse(self, stocks: Stocks) -> None:
        if self.state == "waiting":
            self._stop_waiting(stocks)
            self.state = "refused"

    def _stop_waiting(self, stocks: Stocks) -> None:
        for sku in self.lines.keys() & stocks.keys():
            stocks[sku].remove_waiting(self.order_id)

    def _released(self) -> StockReleased:
        return StockReleased(order_id=self.order_id, restocked=self.state == "restocked")


def _pieces(lines: Iterable[Line]) -> dict[str, int]:
    pieces: dict[str, int] = {}
    for line in lines:
        pieces[line.sku] = pieces.get(line.sku, 0) + line.quantity
    return pieces


def _short(wanted: Mapping[str, int], stocks: Stocks) -> Iterable[ShortLine]:
    for sku, pieces in wanted.items():
        available = stocks[sku].available if sku in stocks else 0
        if available < pieces:
            yield ShortLine(sku=sku, wanted=pieces, available=available)


def _obtainable(sku: str, stocks: Stocks) -> int:
    return stocks[sku].obtainable if sku in stocks else 0
