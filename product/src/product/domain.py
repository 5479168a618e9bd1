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
HoldState = Literal["waiting", "reserved", "rejected", "sold", "released", "restocked", "refused"]

LONGEST_WAIT = timedelta(minutes=10)  # what a setting may ask for at most
MOST_WAITING = 500  # orders for one product; whoever comes after them is rejected at once


class BelowZero(Exception):
    """An adjustment would take away more pieces than are on hand."""


class NeverReserved(Exception):
    """An order was paid for that nothing was reserved for: payment captures only what is reserved."""


@dataclass(eq=False)
class Stock:
    """The pieces of one product. `on_hand + reserved + sold == received`, always, and none is negative.

    `received` is the sum of all adjustments; `status` is the product's own; `waiting` has the orders that
    wait for pieces, and for how many.
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
        """Pieces that can be ordered now, or could be if every order that holds some were cancelled."""
        return self.on_hand + self.reserved if self.status == "active" else 0

    def join(self, order_id: UUID, pieces: int) -> None:
        """The order waits for so many."""
        self.waiting = {**self.waiting, order_id: pieces}

    def leave(self, order_id: UUID) -> None:
        """The order waits no more."""
        if order_id in self.waiting:
            self.waiting = {one: pieces for one, pieces in self.waiting.items() if one != order_id}

    def due(self) -> list[UUID]:
        """The orders whose waiting may be over: there is enough for them, or there will never be."""
        return [
            order_id
            for order_id, pieces in self.waiting.items()
            if pieces <= self.available or pieces > self.obtainable
        ]

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

    A `waiting` order holds nothing. It wants pieces that other orders hold, gets all its lines as soon as all
    of them can be had, and is rejected once one of them cannot be had any more.

    `refused` is the tombstone of an order that was cancelled, or past its deadline, before anything was held.
    `deadline` is the order's, `short` why it was rejected; `returned` is what came back of it, by the id of
    the return; `traceparent` is of the message that made it wait; `nudges` and `nudge_at` tell how often and
    until when the saga was nudged because the hold stood.
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
    def forgotten(cls, order_id: UUID) -> "Hold":
        """Of an order whose goods come back so late that what was held for it is not known any more."""
        return cls(order_id, "sold")

    @classmethod
    def place(
        cls, order: OrderCreated, stocks: Stocks, now: datetime
    ) -> tuple["Hold", StockReserved | StockRejected | None]:
        """Reserve all lines, or none of them if one is short. If others hold what is missing, wait for it,
        and say nothing yet."""
        hold = cls(order.order_id, "waiting", _pieces(order.lines), deadline=order.deadline)
        said = hold._look(stocks, patient=hold._has_room(stocks))
        if said is None:
            hold.waiting_since = now
            for sku, pieces in hold.lines.items():
                stocks[sku].join(hold.order_id, pieces)
        return hold, said

    def look_again(
        self, stocks: Stocks, now: datetime, *, patient: bool = True
    ) -> StockReserved | StockRejected | None:
        """If it waits: take what it wants if all of that is there, else wait on. It gives up if some of it
        will never be there, or if it is `patient` no longer; past its deadline it is over anyway."""
        if self.state != "waiting":
            return None
        if self.deadline is not None and self.deadline <= now:
            self._refuse(stocks)
            return None
        return self._look(stocks, patient=patient)

    def sell(self, stocks: Stocks) -> None:
        """What was reserved is sold; what was released meanwhile is not. Raises NeverReserved."""
        if self.state in ("rejected", "waiting"):
            raise NeverReserved(f"order {self.order_id} was out of stock")
        if self.state == "reserved":
            for sku, pieces in self.lines.items():
                stocks[sku].sell(pieces)
            self.state = "sold"

    def release(self, stocks: Stocks) -> StockReleased | None:
        """Put back what is held or sold, and wait no more; `None` when nothing was."""
        if self.state == "reserved":
            for sku, pieces in self.lines.items():
                stocks[sku].release(pieces)
            self.state = "released"
        elif self.state == "sold":
            for sku, pieces in self.lines.items():
                stocks[sku].restock(pieces - self._came_back(sku))
            self.state = "restocked"
        else:
            self._refuse(stocks)
            return None
        return self._released()

    def take_back(self, returned: OrderReturned, stocks: Stocks) -> StockReturned | None:
        """Restock what comes back, once; `None` when that is nothing new. Raises NeverReserved."""
        pieces = _pieces(returned.lines)
        if not pieces or str(returned.return_id) in self.returned:
            return None
        if unknown := sorted(pieces.keys() - stocks.keys()):
            raise NeverReserved(f"order {self.order_id} returns what was never here: {', '.join(unknown)}")
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

    def _look(self, stocks: Stocks, *, patient: bool) -> StockReserved | StockRejected | None:
        short = tuple(_short(self.lines, stocks))
        if not short:
            self._leave(stocks)
            for sku, pieces in self.lines.items():
                stocks[sku].reserve(pieces)
            self.state = "reserved"
            return StockReserved(order_id=self.order_id)
        if patient and all(one.wanted <= _obtainable(one.sku, stocks) for one in short):
            return None
        self._leave(stocks)
        self.state, self.short = "rejected", short
        return StockRejected(order_id=self.order_id, short=short)

    def _has_room(self, stocks: Stocks) -> bool:
        return all(len(stocks[sku].waiting) < MOST_WAITING for sku in self.lines.keys() & stocks.keys())

    def _refuse(self, stocks: Stocks) -> None:
        if self.state == "waiting":
            self._leave(stocks)
            self.state = "refused"

    def _leave(self, stocks: Stocks) -> None:
        for sku in self.lines.keys() & stocks.keys():
            stocks[sku].leave(self.order_id)

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
