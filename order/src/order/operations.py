"""All that operators' tools may import of order: what is imported here, and queries that only read."""

import json
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from order import views
from order.domain import Order
from order.events import awaited, created, missing_compensations, to_republish
from order.ids import id_or_number
from order.returns import Return, settled_as
from order.saga import participant
from order.settings import Settings
from order.store import Orders
from order.tables import metadata  # maps Order

NUDGE_DAYS: int = Settings.model_fields["nudge_days"].default

# Orders that are pending, miss a compensation or have an open return: the limit of each.
OPEN_ORDERS = """
    (SELECT order_id FROM orders WHERE status = 'pending' ORDER BY created_at LIMIT $1) UNION ALL
    (SELECT order_id FROM orders WHERE status = 'cancelled' AND NOT undone
     ORDER BY cancelled_at LIMIT $1) UNION ALL
    (SELECT order_id FROM orders WHERE returning_since IS NOT NULL ORDER BY returning_since LIMIT $1)"""

# The newest orders that ended, and whether the timeline has the end: the smallest id, the limit.
ENDED_ORDERS = """
    SELECT order_id, status, EXISTS (SELECT FROM timeline
        WHERE timeline.order_id = orders.order_id AND type = 'order.' || status) AS in_timeline
    FROM orders WHERE status <> 'pending' AND order_id >= $1 ORDER BY order_id DESC LIMIT $2"""

# Event types by order: ids.
TIMELINES = """
    SELECT order_id, array_agg(type) AS types FROM timeline WHERE order_id = ANY($1::uuid[])
    GROUP BY order_id"""

# All orders; nested values are JSON. `cart_ids` are all that its cart counted as.
ORDERS = """
    SELECT order_id::text, status, reason, total, currency, deadline,
        (SELECT json_object_agg(line->>'sku', (line->>'quantity')::int)
            FROM jsonb_array_elements(lines) AS line) AS lines,
        ARRAY(SELECT type FROM timeline WHERE timeline.order_id = orders.order_id) AS timeline, guest,
        array_remove(cart_id::text || ARRAY(
            SELECT cart_id::text FROM further_carts WHERE further_carts.order_id = orders.order_id
        ), NULL) AS cart_ids, returns, late_refunds, refunded_rest, disputes
    FROM orders"""
FIRST_PLACED = "SELECT min(created_at) FROM orders"
ACCOUNTS_OF_GUESTS = "SELECT guest_id::text, user_id::text FROM merged_guests"

# Orders in progress; not those whose shopper has time to confirm with her bank.
PENDING_COUNT = """
    SELECT count(*) FROM orders
    WHERE status = 'pending' AND coalesce(action_expires_at, '-infinity') < now()"""


async def find_saga(
    engine: AsyncEngine, order: UUID | str
) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
    """The order with that id or number, and its timeline, as the API shows them."""
    orders = Orders(engine)
    row = await orders.find(order)
    if row is None:
        return None
    timeline = [views.event_view(one) for one in await orders.timeline(order) if one["type"] is not None]
    return _plain(views.order_view(row)), _plain(timeline)


async def list_orders(engine: AsyncEngine, status: str, limit: int) -> list[dict[str, Any]]:
    """The newest orders of that status, as the API shows them."""
    rows = await Orders(engine).page(limit, status=status)
    return [_plain(views.order_view(row)) for row in rows]


def _plain(value: Any) -> Any:
    return json.loads(views.dumps(value))
