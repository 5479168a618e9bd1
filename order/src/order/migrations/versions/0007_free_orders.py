"""An order may come to nothing: then there is nothing to pay.

The previous release reads such rows as any other, and places none.
"""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    # NOT VALID: every row that is there has passed the stricter check, so none is read again.
    op.execute("""ALTER TABLE orders
        DROP CONSTRAINT orders_total_check,
        ADD CONSTRAINT orders_total_check CHECK (total >= 0) NOT VALID""")
