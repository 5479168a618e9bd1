"""Tokens that are mailed to choose a new password or confirm an address; which addresses are confirmed."""

from alembic import op

revision = "0004"
down_revision = "0003"

_STATEMENTS = (
    "ALTER TABLE account ADD email_verified_at timestamptz",
    """CREATE TABLE mailed_token (
        token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
        account_id uuid NOT NULL REFERENCES account ON DELETE CASCADE,
        purpose text NOT NULL CHECK (purpose IN ('reset password', 'confirm address')),
        expires_at timestamptz NOT NULL)""",
    "CREATE INDEX mailed_token_account ON mailed_token (account_id)",
    "CREATE INDEX mailed_token_expires_at ON mailed_token (expires_at)",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
