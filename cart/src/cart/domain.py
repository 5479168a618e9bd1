"""What a shopper means to buy: quantities by product, and what an order or a login does to them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid5

MOST_LINES = 1000
MOST_PIECES = 10_000
# Of a cart that was merged or bought in part more often than that within the time of an order, the oldest are
# forgotten.
MOST_IDS = 8
MOST_BOUGHT = 64


class Full(Exception):
    """The cart has as many lines as it may have."""


class Merged(Exception):
    """A guest's cart that has moved into an account's."""


@dataclass(eq=False)
class TakenOut:
    """An order that was taken out of its shopper's cart: once for good, whoever repeats that it is paid."""

    order_id: UUID
    at: datetime


@dataclass(eq=False)
class Cart:
    """One shopper's or guest's cart, `items` by sku.

    `ids` are what it counts as when it is ordered: order accepts one order of each, besides those that were
    `bought` and are out of it. A cart keeps its ids while it changes, and gets one more when an order was
    taken out and something is left. It is another cart, with an id of its own, once something is put in
    that shares no sku with what was there (the table's trigger sees to that, whoever writes).

    Once merged into an account's it takes nothing any more and keeps what it handed over, so that an
    order that the guest had placed still takes that, and no more, out of the account's cart.
    """

    owner_id: UUID
    items: dict[str, int] = field(default_factory=dict)
    merged_into: UUID | None = None
    ids: tuple[UUID, ...] = ()
    bought: tuple[UUID, ...] = ()

    def remove(self, bought: Mapping[str, int]) -> dict[str, int]:
        """Take out what was bought, as far as it is here. Returns what was taken out."""
        taken = {sku: min(self.items[sku], pieces) for sku, pieces in bought.items() if sku in self.items}
        left = {sku: pieces - taken.get(sku, 0) for sku, pieces in self.items.items()}
        self.items = {sku: pieces for sku, pieces in left.items() if pieces}
        return taken

    def note_bought(self, order_id: UUID) -> None:
        """An order was taken out of it: what is left can be ordered, and is still the cart that other orders
        are of. Nothing left is the cart that was ordered: whoever submits it again hears of that order."""
        if self.items:
            other = uuid5(order_id, " ".join(map(str, (self.owner_id, *self.ids[:1]))))
            self.ids = (other, *self.ids)[:MOST_IDS]
            self.bought = (order_id, *self.bought)[:MOST_BOUGHT]

    def take_over(self, guest: "Cart") -> None:
        """Add a guest's items to these, as many as fit, and leave nothing to take over again. What comes of
        it counts as both carts: no shopper has asked for a second order of either."""
        items = dict(self.items)
        for sku, pieces in guest.items.items():
            if sku in items or len(items) < MOST_LINES:
                items[sku] = min(items.get(sku, 0) + pieces, MOST_PIECES)
        if items != self.items:
            self.ids = (guest.ids + self.ids if self.items else guest.ids)[:MOST_IDS]
            self.bought = (guest.bought + self.bought)[:MOST_BOUGHT]
        self.items = items
        guest.merged_into = self.owner_id
