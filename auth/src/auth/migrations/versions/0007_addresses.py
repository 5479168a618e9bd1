"""The addresses that an account keeps."""

from alembic import op

revision = "0007"
down_revision = "0006"

_STATEMENTS = (
    """CREATE TABLE address (
        account_id uuid NOT NULL REFERENCES account ON DELETE CASCADE,
        address_id uuid NOT NULL,
        address jsonb NOT NULL,
        is_default boolean NOT NULL,
        saved_at timestamptz NOT NULL,
        PRIMARY KEY (account_id, address_id))""",
    "CREATE UNIQUE INDEX one_default_address ON address (account_id) WHERE is_default",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
