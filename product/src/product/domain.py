"""Stock and what is held of it for orders: never oversold, and no piece is ever lost."""

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
HoldState = Literal["reserved", "rejected", "sold", "released", "restocked", "refused"]


class BelowZero(Exception):
    """An adjustment would take away more pieces than are on hand."""


class NeverReserved(Exception):
    """An order was paid for that nothing was reserved for: payment captures only what is reserved."""


@dataclass(eq=False)
class Stock:
    """The pieces of one product. `on_hand + reserved + sold == received`, always, and none is negative.

    `received` is the sum of all adjustments; `status` is the product's own.
    """

    sku: str
    on_hand: int = 0
    reserved: int = 0
    sold: int = 0
    received: int = 0
    status: Status = "active"

    @property
    def available(self) -> int:
        """Pieces that can be ordered now."""
        return self.on_hand if self.status == "active" else 0

    def adjust(self, delta: int) -> None:
        """Pieces came in, or were written off. Raises BelowZero."""
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
    """What is held for one order, and what became of it.

    `refused` is the tombstone of an order whose cancellation was heard of first: nothing was ever held.
    `deadline` is the order's, `short` why it was rejected; `returned` is what came back of it, by the id of
    the return; `nudges` and `nudge_at` tell how often and until when the saga was nudged because the hold
    stood.
    """

    order_id: UUID
    state: HoldState
    lines: dict[str, int] = field(default_factory=dict)
    short: tuple[ShortLine, ...] = ()
    deadline: datetime | None = None
    returned: dict[str, dict[str, int]] = field(default_factory=dict)
    nudges: int = 0
    nudge_at: datetime | None = None

    @classmethod
    def forgotten(cls, order_id: UUID) -> "Hold":
        """Of an order whose goods come back so late that what was held for it is not known any more."""
        return cls(order_id, "sold")

    @classmethod
    def place(cls, order: OrderCreated, stocks: Stocks) -> tuple["Hold", StockReserved | StockRejected]:
        """Reserve all lines, or none of them if one is short."""
        wanted = _pieces(order.lines)
        short = tuple(_short(wanted, stocks))
        if short:
            rejected = StockRejected(order_id=order.order_id, short=short)
            return cls(order.order_id, "rejected", short=short), rejected
        for sku, pieces in wanted.items():
            stocks[sku].reserve(pieces)
        hold = cls(order.order_id, "reserved", wanted, deadline=order.deadline)
        return hold, StockReserved(order_id=order.order_id)

    def sell(self, stocks: Stocks) -> None:
        """What was reserved is sold; what was released meanwhile is not. Raises NeverReserved."""
        if self.state == "rejected":
            raise NeverReserved(f"order {self.order_id} was out of stock")
        if self.state == "reserved":
            for sku, pieces in self.lines.items():
                stocks[sku].sell(pieces)
            self.state = "sold"

    def release(self, stocks: Stocks) -> StockReleased | None:
        """Put back what is held or sold; `None` when that is nothing."""
        if self.state == "reserved":
            for sku, pieces in self.lines.items():
                stocks[sku].release(pieces)
            self.state = "released"
        elif self.state == "sold":
            for sku, pieces in self.lines.items():
                stocks[sku].restock(pieces - self._came_back(sku))
            self.state = "restocked"
        else:
            return None
        return self._released()

    def take_back(self, returned: OrderReturned, stocks: Stocks) -> StockReturned | None:
        """Restock what comes back, once; `None` when that is nothing new. Raises NeverReserved."""
        pieces = _pieces(returned.lines)
        if not pieces or str(returned.return_id) in self.returned:
            return None
        self.sell(stocks)  # what comes back was paid for, whether that is known here or not
        if self.state != "sold":
            raise NeverReserved(f"order {self.order_id} comes back, and its stock is {self.state}")
        for sku, count in pieces.items():
            stocks[sku].restock(count)
        self.returned = {**self.returned, str(returned.return_id): pieces}
        return self._returned(returned.return_id)

    def restate(self, now: datetime) -> list[StockReserved | StockRejected | StockReleased | StockReturned]:
        """What was said of the hold and still holds, for neighbours who have lost it. Past the deadline
        nobody shall take money for it any more."""
        return [*self._restated(now), *(self._returned(UUID(one)) for one in self.returned)]

    def _restated(self, now: datetime) -> list[StockReserved | StockRejected | StockReleased]:
        match self.state:
            case "reserved" if self.deadline and now < self.deadline:
                return [StockReserved(order_id=self.order_id)]
            case "rejected" if self.short:
                return [StockRejected(order_id=self.order_id, short=self.short)]
            case "released" | "restocked":
                return [self._released()]
        return []

    def stand(self, now: datetime, pause: timedelta, limit: int) -> bool:
        """It stands, and is looked at again after twice the pause. Tells whether to nudge: `limit` times at
        most."""
        again = self.nudges < limit
        self.nudges += again
        self.nudge_at = now + pause * 2**self.nudges
        return again

    def _came_back(self, sku: str) -> int:
        return sum(pieces.get(sku, 0) for pieces in self.returned.values())

    def _returned(self, return_id: UUID) -> StockReturned:
        return StockReturned(order_id=self.order_id, return_id=return_id)

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
