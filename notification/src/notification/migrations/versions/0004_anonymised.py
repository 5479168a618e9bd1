"""Which correspondence is about somebody whose personal data was erased."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("ALTER TABLE correspondence ADD anonymised boolean NOT NULL DEFAULT false")
