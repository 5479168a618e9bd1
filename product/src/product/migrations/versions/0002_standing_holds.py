"""Why a hold was rejected, until when its order may be paid, and how often its saga was nudged."""

from alembic import op

revision = "0002"
down_revision = "0001"

_STATEMENTS = (
    # Whoever does not write a deadline yet is given the usual one.
    """ALTER TABLE hold
        ADD short jsonb NOT NULL DEFAULT '[]',
        ADD deadline timestamptz DEFAULT now() + interval '15 minutes',
        ADD nudges int NOT NULL DEFAULT 0,
        ADD nudge_at timestamptz""",
    "CREATE INDEX hold_reserved ON hold (deadline) WHERE state = 'reserved'",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
