"""Reads and writes of a shopper's own cart: one statement each, without a transaction.

A write may make it another cart: the table's trigger then gives it new `ids`.
"""

from collections.abc import Mapping
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncEngine

import cart.tables  # noqa: F401  maps Cart and TakenOut, which steps load and change
from cart.domain import MOST_LINES, Cart, Full, Merged
from chassis.storage.raw_sql import fetch

# `touched_at` is exact to the day only: it is indexed, and if every update changed it, every update would
# have to change the index too.
_READ = "SELECT items::text, ids, bought FROM cart WHERE owner_id = $1 AND merged_into IS NULL"
_REPLACE = """
    INSERT INTO cart AS kept (owner_id, items, guest) VALUES ($1, $2::text::jsonb, $3)
    ON CONFLICT (owner_id) DO UPDATE SET items = excluded.items, guest = excluded.guest,
        touched_at = greatest(kept.touched_at, date_trunc('day', now()))
    WHERE kept.merged_into IS NULL
    RETURNING owner_id
"""
_PUT = """
    INSERT INTO cart AS kept (owner_id, items, guest) VALUES ($1, $2::text::jsonb, $3)
    ON CONFLICT (owner_id) DO UPDATE SET items = kept.items || excluded.items, guest = excluded.guest,
        touched_at = greatest(kept.touched_at, date_trunc('day', now()))
    WHERE kept.merged_into IS NULL
        AND (SELECT count(*) FROM jsonb_object_keys(kept.items || excluded.items)) <= $4
    RETURNING owner_id
"""
_REMOVE = "UPDATE cart SET items = items - $2::text WHERE owner_id = $1 AND merged_into IS NULL"
_IS_MERGED = "SELECT merged_into IS NOT NULL FROM cart WHERE owner_id = $1"


class Carts:
    """Items are quantities by sku. An owner without a row has an empty cart."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def read(self, owner: UUID) -> Cart:
        """The owner's cart; empty if it was merged into another."""
        rows = await fetch(self._engine, _READ, owner)
        if not rows:
            return Cart(owner)
        items, ids, bought = rows[0]
        return Cart(owner, orjson.loads(items), ids=tuple(ids), bought=tuple(bought))

    async def replace(self, owner: UUID, items: Mapping[str, int], *, guest: bool) -> None:
        """Replace all items. Raises Merged."""
        if not await fetch(self._engine, _REPLACE, owner, _json(items), guest):
            raise Merged

    async def put(self, owner: UUID, sku: str, quantity: int, *, guest: bool) -> None:
        """Set the quantity of one product. Raises Full, Merged."""
        if not await fetch(self._engine, _PUT, owner, _json({sku: quantity}), guest, MOST_LINES):
            [[merged]] = await fetch(self._engine, _IS_MERGED, owner)
            raise Merged if merged else Full

    async def remove(self, owner: UUID, sku: str) -> None:
        """Remove one product, if it is there."""
        await fetch(self._engine, _REMOVE, owner, sku)


def _json(items: Mapping[str, int]) -> str:
    return orjson.dumps(items).decode()
