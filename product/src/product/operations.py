"""All that operators' tools may import of product: what is imported here, and queries that only read."""

from product.domain import LONGEST_WAIT, Hold
from product.saga import participant
from product.tables import metadata  # maps Hold

# The limit.
RESERVED_ORDERS = "SELECT order_id FROM hold WHERE state = 'reserved' ORDER BY deadline LIMIT $1"

# Which of these ended orders have a hold that contradicts their status: ids, statuses, the limit.
ORDERS_WITH_LOST_END = """
    SELECT id FROM unnest($1::uuid[], $2::text[]) AS ended (id, status)
    WHERE EXISTS (SELECT FROM hold WHERE order_id = id
        AND CASE status WHEN 'paid' THEN state <> 'sold' ELSE state IN ('reserved', 'sold') END)
    ORDER BY id LIMIT $3"""

HOLD_STATES = "SELECT order_id::text, state FROM hold"
RESTOCKED = "SELECT returned FROM hold WHERE returned <> '{}'"
STOCK = "SELECT sku, on_hand, reserved, sold, received FROM stock"
