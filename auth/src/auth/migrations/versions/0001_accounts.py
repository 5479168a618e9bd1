"""Accounts, their sessions, guests that were merged, attempts to log in."""

from alembic import op

from chassis.schema import create_v1

revision = "0001"
down_revision = None

_TABLES = (
    """CREATE TABLE account (
        account_id uuid PRIMARY KEY,
        email text NOT NULL CONSTRAINT one_account_per_email UNIQUE CHECK (email = lower(email)),
        password_hash text NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
        role text NOT NULL CHECK (role IN ('shopper', 'admin')),
        registered_at timestamptz NOT NULL)""",
    """CREATE TABLE session (
        session_id uuid PRIMARY KEY,
        account_id uuid NOT NULL REFERENCES account ON DELETE CASCADE,
        secret_hash bytea NOT NULL CHECK (length(secret_hash) = 32),
        started_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        ended_at timestamptz)""",
    "CREATE INDEX session_account ON session (account_id)",
    "CREATE INDEX session_expires_at ON session (expires_at)",
    """CREATE TABLE merged_guest (
        guest_id uuid PRIMARY KEY,
        account_id uuid NOT NULL REFERENCES account ON DELETE CASCADE,
        merged_at timestamptz NOT NULL)""",
    "CREATE INDEX merged_guest_account ON merged_guest (account_id)",
    """CREATE TABLE attempt (
        bucket bytea PRIMARY KEY CHECK (length(bucket) = 32),
        attempts int NOT NULL CHECK (attempts >= 0),
        resets_at timestamptz NOT NULL)""",
)


def upgrade() -> None:
    create_v1()
    for statement in _TABLES:
        op.execute(statement)
