"""Product's SQL beside the catalogue's reads: what administrators write and read, and what jobs lock."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from product.schemas import DEFAULT_CURRENCY
from product.tables import adjustment, product, stock

# In sku order, as reservations lock, so that the two cannot deadlock. The sku is in two unique
# constraints: of loads at the same moment, one may meet the other's row in either.
_CREATE = text("""
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(CAST(:items AS jsonb)) AS item(
            sku text, name text, description text, category text, price bigint, currency text, stock bigint,
            picture text, picture_alt text)
    ), created AS (
        INSERT INTO product (sku, name, description, category, price, currency, picture, picture_alt)
        SELECT sku, name, coalesce(description, ''), category, price, coalesce(currency, :currency),
            picture, coalesce(picture_alt, '')
        FROM given ORDER BY sku
        ON CONFLICT DO NOTHING RETURNING sku, price, currency
    ), opened AS (
        INSERT INTO stock (sku, on_hand, reserved, sold, received, status)
        SELECT sku, coalesce(stock, 0), 0, 0, coalesce(stock, 0), 'active' FROM created JOIN given USING (sku)
        RETURNING sku, received
    ), noted AS (
        INSERT INTO adjustment (sku, delta, reason, adjusted_by)
        SELECT sku, received, :reason, :admin FROM opened WHERE received > 0
    )
    SELECT sku, price, currency FROM created
""")
# A category or a picture may be given as null, which removes it.
_CHANGE_LISTED = text("""
    WITH given AS (
        SELECT item.*, fields ? 'category' AS has_category, fields ? 'picture' AS has_picture
        FROM jsonb_array_elements(CAST(:items AS jsonb)) AS fields, jsonb_to_record(fields) AS item(
            sku text, name text, description text, category text, price bigint, currency text,
            picture text, picture_alt text)
    ), locked AS (
        SELECT product.sku FROM product JOIN given USING (sku) ORDER BY sku FOR UPDATE OF product
    )
    UPDATE product AS kept SET
        name = given.name, price = given.price, description = coalesce(given.description, kept.description),
        category = CASE WHEN has_category THEN given.category ELSE kept.category END,
        currency = coalesce(given.currency, kept.currency),
        picture = CASE WHEN has_picture THEN given.picture ELSE kept.picture END,
        picture_alt = coalesce(given.picture_alt, kept.picture_alt), updated_at = now()
    FROM given JOIN locked USING (sku)
    WHERE kept.sku = given.sku AND (
        (kept.name, kept.price) <> (given.name, given.price) OR kept.description <> given.description
        OR has_category AND kept.category IS DISTINCT FROM given.category OR kept.currency <> given.currency
        OR has_picture AND kept.picture IS DISTINCT FROM given.picture
        OR kept.picture_alt <> given.picture_alt)
    RETURNING kept.sku, kept.price, kept.currency
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


async def create(
    session: AsyncSession, items: Sequence[Mapping[str, Any]], admin: UUID
) -> dict[str, tuple[int, str]]:
    """Create those products that do not exist, with their opening stock. Returns their prices by sku."""
    given = {"items": orjson.dumps(items).decode(), "currency": DEFAULT_CURRENCY}
    rows = await session.execute(_CREATE, {**given, "admin": admin, "reason": "opening stock"})
    return {row.sku: (row.price, row.currency) for row in rows}


async def change_listed(
    session: AsyncSession, items: Sequence[Mapping[str, Any]]
) -> dict[str, tuple[int, str]]:
    """Change the given fields of existing products, never their stock. Returns the prices of those that are
    not as before, by sku."""
    rows = await session.execute(_CHANGE_LISTED, {"items": orjson.dumps(items).decode()})
    return {row.sku: (row.price, row.currency) for row in rows}


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
