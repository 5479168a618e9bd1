"""Whether all of a cancelled order was undone, and how often a saga that stood was nudged."""

from alembic import op

revision = "0002"
down_revision = "0001"

_STATEMENTS = (
    """ALTER TABLE orders
        ADD undone boolean NOT NULL DEFAULT false,
        ADD nudges int NOT NULL DEFAULT 0,
        ADD nudge_at timestamptz""",
    "CREATE INDEX orders_to_undo ON orders (cancelled_at) WHERE status = 'cancelled' AND NOT undone",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
