"""Refunds that came back after they had gone back, and are made again; a payment's disputes.

The previous release has neither: its refunds never leave the states that it knows.
"""

from alembic import op

revision = "0008"
down_revision = "0007"

_STATEMENTS = (
    "ALTER TABLE payment ADD disputes jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(disputes) = 'array')",
    # NOT VALID: rows as they are satisfy it, so nobody has to wait until all were looked at.
    """ALTER TABLE refund
        ADD again_of uuid,
        DROP CONSTRAINT refund_state_check,
        ADD CONSTRAINT refund_state_check CHECK (state IN (
            'refunding', 'refunded', 'refund_failed', 'bounced', 'covered')) NOT VALID""",
    "CREATE INDEX refund_bounced ON refund (created_at) WHERE state = 'bounced'",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
