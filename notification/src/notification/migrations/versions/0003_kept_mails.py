"""Mails that did not go out are kept, mails are counted by recipient, and money that was held is known."""

from alembic import op

revision = "0003"
down_revision = "0002"

_STATEMENTS = (
    """ALTER TABLE correspondence
        ADD held boolean NOT NULL DEFAULT false,
        ADD begun_at timestamptz NOT NULL DEFAULT now()""",
    "CREATE INDEX correspondence_begun_at ON correspondence (begun_at)",
    """CREATE TABLE kept_mail (
        key text PRIMARY KEY, reason text NOT NULL, subject_id uuid NOT NULL, payload jsonb NOT NULL,
        fate text NOT NULL, why text, at timestamptz NOT NULL,
        resends jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(resends) = 'array'))""",
    "CREATE INDEX kept_mail_at ON kept_mail (at)",
    "CREATE TABLE recipient (hash bytea PRIMARY KEY, mailed timestamptz[] NOT NULL)",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
