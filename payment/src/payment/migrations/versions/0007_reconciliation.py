"""Reading the provider's own lists: how far that has come, and money there of no order of ours."""

from alembic import op

revision = "0007"
down_revision = "0006"

_STATEMENTS = (
    """CREATE TABLE reconciliation (
        name text PRIMARY KEY,
        began_at timestamptz NOT NULL,
        ended_at timestamptz)""",
    """CREATE TABLE stray (
        payment_id text PRIMARY KEY,
        order_id text,
        amount bigint NOT NULL,
        currency text NOT NULL,
        created_at timestamptz NOT NULL,
        seen_at timestamptz NOT NULL,
        settled_at timestamptz)""",
    "CREATE INDEX stray_open ON stray (created_at) WHERE settled_at IS NULL",
    "CREATE INDEX stray_settled ON stray (settled_at)",
    "CREATE INDEX dispute_noted ON dispute (noted_at)",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
