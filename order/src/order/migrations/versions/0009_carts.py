"""Which cart an order is of, so that there is one order of it: no two have the same first id."""

from alembic import op

revision = "0009"
down_revision = "0008"

_STATEMENTS = (
    "ALTER TABLE orders ADD cart_ids uuid[]",
    """CREATE UNIQUE INDEX orders_cart ON orders ((cart_ids[1]))
        WHERE cart_ids IS NOT NULL AND status <> 'cancelled'""",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
