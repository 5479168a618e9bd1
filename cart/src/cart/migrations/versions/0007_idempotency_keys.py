"""Idempotency keys, so that a product that is added twice by a repeated request is added once."""

from alembic import op

revision = "0007"
down_revision = "0006"

_STATEMENTS = (
    """CREATE TABLE idempotency_keys (
        owner uuid NOT NULL,
        key text NOT NULL,
        fingerprint bytea NOT NULL,
        claim uuid NOT NULL,
        status int,
        body bytea,
        headers jsonb,
        locked_until timestamptz NOT NULL,
        created_at timestamptz NOT NULL,
        PRIMARY KEY (owner, key))""",
    "CREATE INDEX ix_idempotency_keys_created_at ON idempotency_keys (created_at)",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
