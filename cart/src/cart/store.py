"""Carts as shoppers read and write them: one statement each, with no transaction around it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Text, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from cart.direct import fetch
from cart.domain import MOST_LINES, Full, Merged
from cart.tables import cart

_READ = "SELECT items::text FROM cart WHERE owner_id = $1 AND merged_into IS NULL"

_items = cart.c["items"]
_own = (cart.c.owner_id == bindparam("owner")) & cart.c.merged_into.is_(None)
_remove = update(cart).where(_own).values(items=_items.op("-")(bindparam("sku", type_=Text())))
_merged = select(cart.c.merged_into.is_not(None)).where(cart.c.owner_id == bindparam("owner"))

_first = insert(cart).values(owner_id=bindparam("owner"), items=bindparam("put"))
_together = _items.op("||")(_first.excluded["items"])
_replace = _first.on_conflict_do_update(
    index_elements=[cart.c.owner_id],
    set_={"items": _first.excluded["items"]},
    where=cart.c.merged_into.is_(None),
).returning(cart.c.owner_id)
_put = _first.on_conflict_do_update(
    index_elements=[cart.c.owner_id],
    set_={"items": _together},
    where=cart.c.merged_into.is_(None)
    & (select(func.count()).select_from(func.jsonb_object_keys(_together)).scalar_subquery() <= MOST_LINES),
).returning(cart.c.owner_id)


class Carts:
    """Items are quantities by sku. An owner who has put nothing yet has an empty cart."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def read(self, owner: UUID) -> dict[str, int]:
        rows = await fetch(self._engine, _READ, owner)
        items: dict[str, int] = orjson.loads(rows[0]["items"]) if rows else {}
        return items

    async def replace(self, owner: UUID, items: Mapping[str, int]) -> None:
        """These items and no others. Raises Merged."""
        if await self._scalar(_replace, owner=owner, put=items) is None:
            raise Merged

    async def put(self, owner: UUID, sku: str, quantity: int) -> None:
        """So many of one product. Raises Full, Merged."""
        if await self._scalar(_put, owner=owner, put={sku: quantity}) is None:
            raise Merged if await self._scalar(_merged, owner=owner) else Full

    async def remove(self, owner: UUID, sku: str) -> None:
        """Nothing happens if it is not there."""
        async with self._engine.connect() as connection:
            await connection.execute(_remove, {"owner": owner, "sku": sku})

    async def _scalar(self, statement: Any, **parameters: Any) -> Any:
        async with self._engine.connect() as connection:
            return (await connection.execute(statement, parameters)).scalar()
