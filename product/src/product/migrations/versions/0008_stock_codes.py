"""An index for stock codes that are half typed, in whatever letters."""

from chassis.schema import create_index

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    create_index("product_by_code", """product (upper(sku) COLLATE "C") WHERE status = 'active'""")
