"""Carts as shoppers read and write them: one statement each, with no transaction around it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from cart.domain import MOST_LINES, Full, Merged

_READ = text("SELECT CAST(items AS text) FROM cart WHERE owner_id = :owner AND merged_into IS NULL")
_REPLACE = text("""
    INSERT INTO cart AS kept (owner_id, items) VALUES (:owner, CAST(:items AS jsonb))
    ON CONFLICT (owner_id) DO UPDATE SET items = excluded.items WHERE kept.merged_into IS NULL
    RETURNING owner_id
""")
_PUT = text("""
    INSERT INTO cart AS kept (owner_id, items) VALUES (:owner, CAST(:items AS jsonb))
    ON CONFLICT (owner_id) DO UPDATE SET items = kept.items || excluded.items
    WHERE kept.merged_into IS NULL
        AND (SELECT count(*) FROM jsonb_object_keys(kept.items || excluded.items)) <= :most
    RETURNING owner_id
""")
_REMOVE = text("""
    UPDATE cart SET items = items - CAST(:sku AS text)
    WHERE owner_id = :owner AND merged_into IS NULL AND jsonb_exists(items, :sku)
""")
_MERGED = text("SELECT merged_into IS NOT NULL FROM cart WHERE owner_id = :owner")


class Carts:
    """Items are quantities by sku. An owner who has put nothing yet has an empty cart."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def read(self, owner: UUID) -> dict[str, int]:
        stored = await self._scalar(_READ, owner=owner)
        items: dict[str, int] = orjson.loads(stored) if stored else {}
        return items

    async def replace(self, owner: UUID, items: Mapping[str, int]) -> None:
        """These items and no others. Raises Merged."""
        if await self._scalar(_REPLACE, owner=owner, items=_json(items)) is None:
            raise Merged

    async def put(self, owner: UUID, sku: str, quantity: int) -> None:
        """So many of one product. Raises Full, Merged."""
        items = _json({sku: quantity})
        if await self._scalar(_PUT, owner=owner, items=items, most=MOST_LINES) is None:
            raise Merged if await self._scalar(_MERGED, owner=owner) else Full

    async def remove(self, owner: UUID, sku: str) -> None:
        """Nothing happens if it is not there."""
        async with self._engine.connect() as connection:
            await connection.execute(_REMOVE, {"owner": owner, "sku": sku})

    async def _scalar(self, statement: Any, **parameters: Any) -> Any:
        async with self._engine.connect() as connection:
            return (await connection.execute(statement, parameters)).scalar()


def _json(items: Mapping[str, int]) -> str:
    return orjson.dumps(items).decode()
