"""Carts."""

from alembic import op

from chassis.schema import create_v1

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_v1()
    op.execute("""CREATE TABLE cart (
        owner_id uuid PRIMARY KEY,
        items jsonb NOT NULL CHECK (jsonb_typeof(items) = 'object'),
        merged_into uuid) WITH (fillfactor = 70)""")
