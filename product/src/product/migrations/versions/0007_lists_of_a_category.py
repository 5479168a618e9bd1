"""Indexes for the lists of a category, one for each column that they are sorted by."""

from chassis.schema import create_index

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    create_index("product_in_category_by_name", "product (category, status, name, sku)")
    create_index("product_in_category_by_price", "product (category, status, price, sku)")
    create_index("product_in_category_by_age", "product (category, status, created_at, sku)")
