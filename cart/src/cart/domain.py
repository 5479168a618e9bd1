"""What a shopper means to buy: quantities by product, and what an order or a login does to them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

MOST_LINES = 1000
MOST_PIECES = 10_000


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

    Once merged into an account's it takes nothing any more and keeps what it handed over, so that an
    order that the guest had placed still takes that, and no more, out of the account's cart.
    """

    owner_id: UUID
    items: dict[str, int] = field(default_factory=dict)
    merged_into: UUID | None = None

    def remove(self, bought: Mapping[str, int]) -> dict[str, int]:
        """Take out what was bought, as far as it is here. Returns what was taken out."""
        taken = {sku: min(self.items[sku], pieces) for sku, pieces in bought.items() if sku in self.items}
        left = {sku: pieces - taken.get(sku, 0) for sku, pieces in self.items.items()}
        self.items = {sku: pieces for sku, pieces in left.items() if pieces}
        return taken

    def take_over(self, guest: "Cart") -> None:
        """Add a guest's items to these, as many as fit, and leave nothing to take over again."""
        items = dict(self.items)
        for sku, pieces in guest.items.items():
            if sku in items or len(items) < MOST_LINES:
                items[sku] = min(items.get(sku, 0) + pieces, MOST_PIECES)
        self.items = items
        guest.merged_into = self.owner_id
