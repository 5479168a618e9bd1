"""Webhooks are pruned by a B-tree: block ranges never narrow again, so after a cycle they tell nothing."""

from alembic import op

revision = "0003"
down_revision = "0002"

_STATEMENTS = (
    "DROP INDEX webhook_seen_at",
    "CREATE INDEX webhook_seen_at ON webhook (seen_at)",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
