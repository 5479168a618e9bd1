"""Reads and writes of a shopper's own cart: one statement each, which checks all conditions itself.

A write may make it another cart: the table's trigger then gives it new `ids`. Another trigger counts
versions. A cart without a row is empty and has the version 0.
"""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

import cart.tables  # noqa: F401  maps Cart and TakenOut, which steps load and change
from cart.domain import MOST_LINES, MOST_PIECES, Cart, Full, Merged, Stale, TooManyPieces
from chassis.storage.raw_sql import Part, fetch, run

Versions = Collection[int] | None
"""The versions of the cart that a change may be made to; `None`: any."""

_READ = "SELECT items::text, ids, bought, version FROM cart WHERE owner_id = $1 AND merged_into IS NULL"

# `touched_at` is exact to the day only: it is indexed, and if every update changed it, every update would
# have to change the index too.
_WRITE = """
    INSERT INTO cart AS kept (owner_id, items, guest)
    SELECT CAST(:owner AS uuid), CAST(CAST(:items AS text) AS jsonb), CAST(:guest AS boolean)
    WHERE CAST(:versions AS bigint[]) IS NULL OR 0 = ANY (:versions)
        OR EXISTS (SELECT FROM cart WHERE owner_id = :owner)
    ON CONFLICT (owner_id) DO UPDATE SET items = {items}, guest = excluded.guest,
        touched_at = greatest(kept.touched_at, date_trunc('day', now()))
    WHERE kept.merged_into IS NULL AND (CAST(:versions AS bigint[]) IS NULL OR kept.version = ANY (:versions))
        AND {fits}
    RETURNING version, CAST(items AS text)
"""
_LINES_FIT = "(SELECT count(*) FROM jsonb_object_keys(kept.items || excluded.items)) <= :most_lines"
_SUM = "coalesce(CAST(kept.items ->> :sku AS int), 0) + :pieces"
_REPLACE = _WRITE.format(items="excluded.items", fits="true")
_PUT = _WRITE.format(items="kept.items || excluded.items", fits=_LINES_FIT)
_ADD = text(
    _WRITE.format(
        items=f"kept.items || jsonb_build_object(CAST(:sku AS text), {_SUM})",
        fits=f"{_LINES_FIT} AND {_SUM} <= :most_pieces",
    )
)
_REMOVE = """
    UPDATE cart SET items = items - $2::text
    WHERE owner_id = $1 AND merged_into IS NULL AND ($3::bigint[] IS NULL OR version = ANY ($3))
    RETURNING version
"""
_STATE = """
    SELECT version, merged_into IS NOT NULL AS merged, coalesce((items ->> $2)::int, 0) AS pieces
    FROM cart WHERE owner_id = $1
"""


@dataclass(frozen=True, slots=True)
class Added:
    """What adding has made of the cart. `quantity`: pieces of the product that are in it now."""

    version: int
    quantity: int


class Carts:
    """Items are quantities by sku. A change raises Merged, and Stale if the cart has none of the versions."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def read(self, owner: UUID) -> Cart:
        """The owner's cart; empty if it was merged into another."""
        rows = await fetch(self._engine, _READ, owner)
        if not rows:
            return Cart(owner)
        items, ids, bought, version = rows[0]
        return Cart(owner, orjson.loads(items), ids=tuple(ids), bought=tuple(bought), version=version)

    async def replace(
        self, owner: UUID, items: Mapping[str, int], *, guest: bool, versions: Versions = None
    ) -> int:
        """Replace all items. Returns the cart's version."""
        return await self._write(_REPLACE, owner, items, guest, versions)

    async def put(
        self, owner: UUID, sku: str, quantity: int, *, guest: bool, versions: Versions = None
    ) -> int:
        """Set the quantity of one product. Returns the cart's version. Raises Full."""
        return await self._write(_PUT, owner, {sku: quantity}, guest, versions)

    @asynccontextmanager
    async def add(
        self, owner: UUID, sku: str, quantity: int, *, guest: bool, versions: Versions = None
    ) -> AsyncIterator[tuple[AsyncConnection, Added]]:
        """Add pieces to what is there, and commit at the end of the block, with what the block does on the
        connection. Raises Full, TooManyPieces."""
        given = {"sku": sku, "pieces": quantity, **_values(owner, {sku: quantity}, guest, versions)}
        async with self._engine.begin() as connection:
            row = (await connection.execute(_ADD, given)).first()
            if row is not None:
                yield connection, Added(row[0], orjson.loads(row[1])[sku])
                return
        raise await self._refusal(owner, versions, sku, quantity)

    async def remove(self, owner: UUID, sku: str, *, versions: Versions = None) -> None:
        """Remove one product, if it is there; from a merged cart, which is empty, nothing."""
        if not await fetch(self._engine, _REMOVE, owner, sku, versions) and versions is not None:
            state = await self._state(owner, sku)
            if not state["merged"] and state["version"] not in versions:
                raise Stale(state["version"])

    async def _write(
        self, sql: str, owner: UUID, items: Mapping[str, int], guest: bool, versions: Versions
    ) -> int:
        written = Part("written", sql, _values(owner, items, guest, versions))
        row = await run(self._engine, [written], "max(version) AS version FROM written")
        if row["version"] is None:
            raise await self._refusal(owner, versions)
        return int(row["version"])

    async def _refusal(self, owner: UUID, versions: Versions, sku: str = "", pieces: int = 0) -> Exception:
        """Why a change was not made."""
        state = await self._state(owner, sku)
        if state["merged"]:
            return Merged()
        if versions is not None and state["version"] not in versions:
            return Stale(state["version"])
        if state["pieces"] + pieces > MOST_PIECES:
            return TooManyPieces(state["pieces"])
        return Full()

    async def _state(self, owner: UUID, sku: str) -> Mapping[str, Any]:
        rows = await fetch(self._engine, _STATE, owner, sku)
        return rows[0] if rows else {"version": 0, "merged": False, "pieces": 0}


def _values(owner: UUID, items: Mapping[str, int], guest: bool, versions: Versions) -> dict[str, Any]:
    return {
        "owner": owner,
        "items": orjson.dumps(items).decode(),
        "guest": guest,
        "versions": None if versions is None else sorted(versions),
        "most_lines": MOST_LINES,
        "most_pieces": MOST_PIECES,
    }
