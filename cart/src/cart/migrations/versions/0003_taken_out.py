"""Which orders were taken out of a cart, so that none is twice."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("CREATE TABLE taken_out (order_id uuid PRIMARY KEY, at timestamptz NOT NULL)")
