"""Carts: quantities by product, and how an order or a login changes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid5

MOST_LINES = 1000
MOST_PIECES = 10_000
# Of a cart that was merged or bought in part more often than that, only the latest are kept.
MOST_IDS = 8
MOST_BOUGHT = 64


class Full(Exception):
    """The cart has the maximum number of lines."""


class TooManyPieces(Exception):
    """The cart would have more pieces of a product than a line can have; `pieces` are in it."""

    def __init__(self, pieces: int) -> None:
        super().__init__(pieces)
        self.pieces = pieces


class Merged(Exception):
    """The guest's cart was moved into an account's."""


class Stale(Exception):
    """The cart has changed since it was read; `version` is its version now."""

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.version = version


@dataclass(eq=False)
class TakenOut:
    """Records that an order's lines were removed from its shopper's cart, so that a repeated `order.paid`
    removes nothing."""

    order_id: UUID
    at: datetime


@dataclass(eq=False)
class Cart:
    """One shopper's or guest's cart, `items` by sku.

    `ids` identify it when it is ordered: order accepts one order for each, besides the `bought` ones, whose
    lines have been removed. A cart keeps its ids while it changes, and gets one more when an order's lines
    are removed and others are left. It becomes another cart, with a new id, once its new content shares no
    sku with the old (a trigger of the table does that, for every writer). Another trigger counts its
    changes as its `version`, which only reads for HTTP load.

    Once merged into an account's cart, a guest's cannot be changed any more. It keeps the items that it
    handed over, so that an order which the guest had placed removes those, and no more, from the account's
    cart.
    """

    owner_id: UUID
    items: dict[str, int] = field(default_factory=dict)
    merged_into: UUID | None = None
    ids: tuple[UUID, ...] = ()
    bought: tuple[UUID, ...] = ()
    version: int = 0

    def remove(self, bought: Mapping[str, int]) -> dict[str, int]:
        """Remove bought pieces, at most those in the cart. Returns what was removed."""
        removed = {sku: min(self.items[sku], pieces) for sku, pieces in bought.items() if sku in self.items}
        left = {sku: pieces - removed.get(sku, 0) for sku, pieces in self.items.items()}
        self.items = {sku: pieces for sku, pieces in left.items() if pieces}
        return removed

    def record_bought(self, order_id: UUID) -> None:
        """After an order's lines were removed: what is left can be ordered under a new id, and keeps the ids
        of other orders. An empty cart keeps only the ids that were ordered: a repeated checkout finds that
        order."""
        if self.items:
            new_id = uuid5(order_id, " ".join(map(str, (self.owner_id, *self.ids[:1]))))
            self.ids = (new_id, *self.ids)[:MOST_IDS]
            self.bought = (order_id, *self.bought)[:MOST_BOUGHT]

    def merge(self, guest: "Cart") -> None:
        """Add a guest's items, as many as fit, and mark the guest's cart as merged. The result has the ids of
        both carts, so that neither can be ordered a second time."""
        items = dict(self.items)
        for sku, pieces in guest.items.items():
            if sku in items or len(items) < MOST_LINES:
                items[sku] = min(items.get(sku, 0) + pieces, MOST_PIECES)
        if items != self.items:
            self.ids = (guest.ids + self.ids if self.items else guest.ids)[:MOST_IDS]
            self.bought = (guest.bought + self.bought)[:MOST_BOUGHT]
        self.items = items
        guest.merged_into = self.owner_id
