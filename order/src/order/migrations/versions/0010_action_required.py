"""Orders whose shopper's bank asks: where she confirms, until when, and where she comes back to.

The previous release writes none of it, and never says where shoppers come back to.
"""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.execute(
        "ALTER TABLE orders ADD return_url text, ADD action_url text, ADD action_expires_at timestamptz"
    )
