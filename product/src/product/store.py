"""Product's SQL beside the catalogue's reads: what administrators write and read, and what jobs lock."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from product.tables import adjustment, product, stock

# In sku order, as reservations lock, so that the two cannot deadlock. The transaction that inserts the stock
# row has created the product: of two concurrent loads only one sets its opening stock.
_PUT = text("""
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(CAST(:items AS jsonb)) AS item(
            sku text, name text, description text, category text, price bigint, currency text, stock bigint)
    ), put AS (
        INSERT INTO product AS kept (sku, name, description, category, price, currency)
        SELECT sku, name, description, category, price, currency FROM given ORDER BY sku
        ON CONFLICT (sku) DO UPDATE SET
            name = excluded.name, description = excluded.description, category = excluded.category,
            price = excluded.price, currency = excluded.currency, updated_at = now()
        WHERE CAST(:overwrite AS boolean) AND
            (kept.name, kept.description, kept.category, kept.price, kept.currency) IS DISTINCT FROM
            (excluded.name, excluded.description, excluded.category, excluded.price, excluded.currency)
        RETURNING sku
    ), opened AS (
        INSERT INTO stock (sku, on_hand, reserved, sold, received, status)
        SELECT sku, stock, 0, 0, stock, 'active' FROM put JOIN given USING (sku)
        ON CONFLICT (sku) DO NOTHING RETURNING sku, received
    ), noted AS (
        INSERT INTO adjustment (sku, delta, reason, adjusted_by)
        SELECT sku, received, :reason, :admin FROM opened WHERE received > 0
    )
    SELECT (SELECT count(*) FROM opened) AS created, (SELECT count(*) FROM put) AS put
""")

_STUCK_HOLDS = text("""
    SELECT order_id FROM hold
    WHERE state = 'reserved' AND deadline < :before
        AND coalesce(nudge_at, deadline) < :now
    ORDER BY deadline LIMIT :limit FOR UPDATE SKIP LOCKED
""")

_LONGEST_WAITS = text("""
    SELECT order_id FROM hold WHERE state = 'waiting' AND waiting_since < :before
    ORDER BY waiting_since LIMIT :limit FOR UPDATE SKIP LOCKED
""")
_WAITED_FOR = text("SELECT sku FROM stock WHERE waiting IS NOT NULL ORDER BY sku")


async def put(
    session: AsyncSession, items: Sequence[Mapping[str, Any]], admin: UUID, *, overwrite: bool
) -> tuple[int, int]:
    """Create products with their opening stock, and change those that exist if `overwrite`, never their
    stock. Returns how many were created and how many changed."""
    parameters = {"items": orjson.dumps(items).decode(), "admin": admin, "reason": "opening stock"}
    row = (await session.execute(_PUT, {**parameters, "overwrite": overwrite})).one()
    return row.created, row.put - row.created


async def change(session: AsyncSession, sku: str, changes: Mapping[str, Any]) -> str | None:
    """Returns the currency of the product, or None if there is no such product. The foreign key copies a
    changed status to its stock."""
    query = update(product).where(product.c.sku == sku).values(**changes, updated_at=func.now())
    changed: str | None = (await session.execute(query.returning(product.c.currency))).scalar()
    return changed


async def note_adjustment(session: AsyncSession, sku: str, delta: int, reason: str, admin: UUID) -> None:
    """Record who adjusted the stock, by how much, and why."""
    values = {"sku": sku, "delta": delta, "reason": reason, "adjusted_by": admin}
    await session.execute(insert(adjustment).values(values))


async def stock_record(engine: AsyncEngine, sku: str) -> dict[str, Any] | None:
    """The stock of a product and its 100 latest adjustments."""
    latest = select(adjustment).where(adjustment.c.sku == sku).order_by(adjustment.c.id.desc()).limit(100)
    async with engine.connect() as connection:
        level = (await connection.execute(select(stock).where(stock.c.sku == sku))).mappings().first()
        if level is None:
            return None
        adjustments = (await connection.execute(latest)).mappings().all()
    return {**level, "adjustments": adjustments}


async def lock_stuck_holds(
    session: AsyncSession, now: datetime, pause: timedelta, limit: int
) -> Sequence[UUID]:
    """Orders whose stock is still reserved `pause` after their deadline and that are due for a nudge; the
    oldest deadline first. Skips holds that another transaction has locked."""
    parameters = {"now": now, "before": now - pause, "limit": limit}
    return (await session.execute(_STUCK_HOLDS, parameters)).scalars().all()


async def lock_longest_waits(session: AsyncSession, before: datetime, limit: int) -> Sequence[UUID]:
    """Orders that have waited for stock since before then, the longest first. Skips locked ones."""
    return (await session.execute(_LONGEST_WAITS, {"before": before, "limit": limit})).scalars().all()


async def skus_waited_for(engine: AsyncEngine) -> Sequence[str]:
    """The products that orders wait for."""
    async with engine.connect() as connection:
        return (await connection.execute(_WAITED_FOR)).scalars().all()
