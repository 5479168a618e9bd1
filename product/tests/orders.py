"""The events of one order, for product's tests."""

from uuid import UUID, uuid4

from contracts import Line, OrderCancelled, OrderCreated, OrderPaid, OrderReturned
from contracts.testing import line, order_cancelled, order_created, order_paid, order_returned


class Order:
    """Builds the events of one order, whose lines are given as pieces by sku."""

    def __init__(self, order_id: UUID | None = None, /, **pieces: int) -> None:
        self.id = order_id or uuid4()
        self._lines = _lines(pieces)

    def created(self) -> OrderCreated:
        return order_created(order_id=self.id, lines=self._lines)

    def paid(self) -> OrderPaid:
        return order_paid(order_id=self.id, lines=self._lines)

    def cancelled(self) -> OrderCancelled:
        return order_cancelled(order_id=self.id, lines=self._lines)

    def returned(self, **pieces: int) -> OrderReturned:
        return order_returned(order_id=self.id, return_id=uuid4(), lines=_lines(pieces))


def placed(*wanted: dict[str, int]) -> list[Order]:
    """Orders in the sequence of their placing."""
    order_ids = sorted(uuid4() for _ in wanted)
    return [Order(order_id, **pieces) for order_id, pieces in zip(order_ids, wanted, strict=True)]


def _lines(pieces: dict[str, int]) -> tuple[Line, ...]:
    return tuple(line(sku, quantity) for sku, quantity in pieces.items())
