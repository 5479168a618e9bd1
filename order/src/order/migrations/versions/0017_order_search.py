"""Indexes for what staff search orders by, and for the job that hashes the addresses of older orders."""

from chassis.schema import create_index

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    create_index("orders_contact", "orders (contact_hash, order_id)")
    create_index("orders_not_hashed", "orders (order_id) WHERE contact_hash IS NULL AND contact IS NOT NULL")
    create_index(
        "orders_products", "orders USING gin (jsonb_path_query_array(lines, '$[*].sku') jsonb_path_ops)"
    )
