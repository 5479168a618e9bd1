"""All that operators' tools may import of cart: what is imported here, and queries that only read."""

from cart.saga import participant

FILLED_CARTS = """
    SELECT owner_id::text, ids::text[], bought::text[] FROM cart
    WHERE merged_into IS NULL AND items <> '{}'"""
