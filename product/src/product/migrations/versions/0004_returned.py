"""What came back of an order, by the id of the return: it is restocked once.

The previous release writes none of it. It consumes no returns, so there is none to lose.
"""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute(
        "ALTER TABLE hold ADD returned jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(returned) = 'object')"
    )
