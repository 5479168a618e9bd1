"""What the successor of a session's last refresh token was derived with, and when."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("ALTER TABLE session ADD successor_salt bytea, ADD renewed_at timestamptz")
