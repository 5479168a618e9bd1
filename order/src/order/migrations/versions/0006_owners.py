"""Whose orders a guest's have become, which order an account has claimed, and attempts to look one up."""

from alembic import op

revision = "0006"
down_revision = "0005"

_STATEMENTS = (
    """CREATE TABLE merged_guests (
        guest_id uuid PRIMARY KEY,
        user_id uuid NOT NULL,
        merged_at timestamptz NOT NULL)""",
    "CREATE INDEX merged_guests_user ON merged_guests (user_id, merged_at)",
    "CREATE INDEX merged_guests_at ON merged_guests (merged_at)",
    "ALTER TABLE orders ADD claimed_by uuid",
    "CREATE INDEX orders_claimed ON orders (claimed_by, order_id) WHERE claimed_by IS NOT NULL",
    """CREATE TABLE attempt (
        bucket bytea PRIMARY KEY CHECK (length(bucket) = 32),
        attempts int NOT NULL CHECK (attempts >= 0),
        resets_at timestamptz NOT NULL)""",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
