"""Whose cart it is and when something was last put into it, so that forgotten carts can go.

The previous release writes neither: its carts count as an account's that was filled now, and are kept longer.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

_STATEMENTS = (
    """ALTER TABLE cart
        ADD guest boolean NOT NULL DEFAULT false,
        ADD touched_at timestamptz NOT NULL DEFAULT now()""",
    "CREATE INDEX cart_touched ON cart (guest, touched_at)",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
