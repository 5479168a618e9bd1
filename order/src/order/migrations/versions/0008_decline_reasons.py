"""Why an order's payment was declined, in the shop's words. Of older orders nobody knows."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD decline_reason text")
