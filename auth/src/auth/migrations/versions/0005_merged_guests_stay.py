"""A guest stays merged when the account is deleted: the guest's token must not be merged into another."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute("ALTER TABLE merged_guest DROP CONSTRAINT merged_guest_account_id_fkey")
