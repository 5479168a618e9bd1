"""Orders of other shoppers, of which only the hold is in the model: they have the pieces that an order waits
for.

Each is paid sooner or later, and may be cancelled before or after, as its shopper or its bank likes. So one
order that waits is explored against everything that may end its waiting, at the cost of one order.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import product.saga
from chassis.saga.tx import Event, Tx
from contracts import Line, OrderCancelled, OrderPaid
from contracts.testing import line, order_cancelled, order_paid
from product.domain import Hold, Stock
from tests.model.actor import Command, LocalState
from tests.model.provider import NOW

FIRST = 901
CANCELLED = "the order of another shopper is cancelled"
PAID = "the order of another shopper is paid"


class OtherOrders:
    """`wanted` has the pieces of each by sku; all of them are reserved at the start."""

    def __init__(self, wanted: Sequence[Mapping[str, int]]) -> None:
        self._wanted = {UUID(int=FIRST + n): dict(lines) for n, lines in enumerate(wanted)}

    def holds(self) -> Iterator[Hold]:
        for order_id, lines in self._wanted.items():
            yield Hold(order_id, "reserved", lines, deadline=NOW)

    def reserve(self, stock: Mapping[str, int]) -> Iterator[Stock]:
        """The stock of each product when that many were received."""
        for sku, received in stock.items():
            held = sum(lines.get(sku, 0) for lines in self._wanted.values())
            yield Stock(sku, on_hand=received - held, reserved=held, received=received)

    def commands(self) -> Iterator[tuple[str, Command]]:
        """How they end. The names are numbered where there are several."""
        for n, (order_id, lines) in enumerate(self._wanted.items()):
            which = f" ({n + 1})" if len(self._wanted) > 1 else ""
            yield CANCELLED + which, _consuming(_cancelled(order_id, lines))
            yield PAID + which, _consuming(_paid(order_id, lines))

    def without(self, stock: Stock, local: LocalState) -> Stock:
        """The stock as if there were no others."""
        for order_id, lines in self._wanted.items():
            hold, pieces = local.harness.row(Hold, order_id), lines.get(stock.sku, 0)
            assert hold is not None
            held, sold = pieces * (hold.state == "reserved"), pieces * (hold.state == "sold")
            stock = replace(
                stock,
                reserved=stock.reserved - held,
                sold=stock.sold - sold,
                received=stock.received - held - sold,
            )
        return stock


def _consuming(event: Event) -> Command:
    step = product.saga.steps.find(event.type, event.version)
    assert step is not None
    run = step.run

    async def consume(tx: Tx) -> None:
        await run(event, tx)

    return Command(consume, step.publishes)


def _cancelled(order_id: UUID, lines: Mapping[str, int]) -> OrderCancelled:
    return order_cancelled(order_id=order_id, shopper_id=order_id, lines=_lines(lines))


def _paid(order_id: UUID, lines: Mapping[str, int]) -> OrderPaid:
    return order_paid(order_id=order_id, shopper_id=order_id, lines=_lines(lines))


def _lines(wanted: Mapping[str, int]) -> tuple[Line, ...]:
    return tuple(line(sku, quantity) for sku, quantity in wanted.items())
