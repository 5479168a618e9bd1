"""Correspondence: which letters were written about an order or account, and what became of them."""

from alembic import op

from chassis.schema import create_v1

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_v1()
    op.execute(
        """CREATE TABLE correspondence (
            subject_id uuid PRIMARY KEY,
            cancelled boolean NOT NULL,
            letters jsonb NOT NULL CHECK (jsonb_typeof(letters) = 'object'))"""
    )
