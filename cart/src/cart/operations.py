"""Cart's door for operators' tools, which import nothing else of it: what is imported here and queries that
only read."""

from cart.saga import participant

FILLED_CARTS = """
    SELECT owner_id::text, ids::text[], bought::text[] FROM cart
    WHERE merged_into IS NULL AND items <> '{}'"""
