"""Refunds that came back, or were made again, and the rest that went back after parts.

The previous release notes none of that.
"""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD refunded_rest int, ADD late_refunds jsonb NOT NULL DEFAULT '[]'")
