"""What the provider says later: how much of it is still to be looked up, and disputes.

The previous release writes payments without news, and knows nothing of disputes.
"""

from alembic import op

revision = "0005"
down_revision = "0004"

_STATEMENTS = (
    "ALTER TABLE payment ADD news int NOT NULL DEFAULT 0",
    # Most of what the provider says names its own payment, and no order of ours.
    "CREATE INDEX payment_of_provider ON payment (payment_id) WHERE payment_id IS NOT NULL",
    """CREATE TABLE dispute (
        dispute_id uuid PRIMARY KEY,
        order_id uuid NOT NULL,
        provider_id text NOT NULL,
        amount int NOT NULL,
        currency text NOT NULL,
        reason text NOT NULL,
        status text NOT NULL,
        due_by timestamptz,
        noted_at timestamptz NOT NULL)""",
    "CREATE INDEX dispute_of_order ON dispute (order_id)",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
