"""Accounts that were deleted, whose orders are anonymised: an order need not have an address any more.

The previous release places orders with an address and reads those without.
"""

from alembic import op

revision = "0015"
down_revision = "0014"

_STATEMENTS = (
    "CREATE TABLE deleted_account (account_id uuid PRIMARY KEY, deleted_at timestamptz NOT NULL)",
    "ALTER TABLE orders ALTER contact DROP NOT NULL",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
