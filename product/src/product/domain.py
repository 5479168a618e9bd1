"""Stock and what is held of it for orders: never oversold, and no piece is ever lost."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from contracts import Line, ShortLine, StockRejected, StockReleased, StockReserved

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
    """

    order_id: UUID
    state: HoldState
    lines: dict[str, int] = field(default_factory=dict)

    @classmethod
    def place(
        cls, order_id: UUID, lines: Iterable[Line], stocks: Stocks
    ) -> tuple["Hold", StockReserved | StockRejected]:
        """Reserve all lines, or none of them if one is short."""
        wanted = _pieces(lines)
        short = tuple(_short(wanted, stocks))
        if short:
            return cls(order_id, "rejected"), StockRejected(order_id=order_id, short=short)
        for sku, pieces in wanted.items():
            stocks[sku].reserve(pieces)
        return cls(order_id, "reserved", wanted), StockReserved(order_id=order_id)

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
                stocks[sku].restock(pieces)
            self.state = "restocked"
        else:
            return None
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
