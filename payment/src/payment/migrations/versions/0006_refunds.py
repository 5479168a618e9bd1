"""Refunds of parts of an order's money, each with a row of its own.

The previous release writes no refunds and leaves those of its payments alone.
"""

from alembic import op

revision = "0006"
down_revision = "0005"

_STATEMENTS = (
    "ALTER TABLE payment ADD refunds jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(refunds) = 'object')",
    """CREATE TABLE refund (
        refund_id uuid PRIMARY KEY,
        order_id uuid NOT NULL,
        amount int NOT NULL CHECK (amount >= 0),
        by text NOT NULL,
        state text NOT NULL CHECK (state IN ('refunding', 'refunded', 'refund_failed', 'covered')),
        code text,
        refused int NOT NULL DEFAULT 0,
        refund_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now())""",
    "CREATE INDEX refund_of_order ON refund (order_id)",
    "CREATE INDEX refund_open ON refund (created_at) WHERE state IN ('refunding', 'refund_failed')",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
