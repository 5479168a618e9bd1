"""Disputes of an order's payment. The previous release places orders without any."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD disputes jsonb NOT NULL DEFAULT '[]'")
