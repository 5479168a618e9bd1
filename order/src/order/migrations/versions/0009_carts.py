"""Which cart an order is of, so that there is one order of it. A cart may count as several."""

from alembic import op

revision = "0009"
down_revision = "0008"

_STATEMENTS = (
    "ALTER TABLE orders ADD cart_id uuid",
    """CREATE UNIQUE INDEX orders_cart ON orders (cart_id)
        WHERE cart_id IS NOT NULL AND status <> 'cancelled'""",
    """CREATE TABLE further_carts (
        order_id uuid NOT NULL,
        cart_id uuid NOT NULL,
        PRIMARY KEY (order_id, cart_id))""",
    "CREATE INDEX further_carts_cart ON further_carts (cart_id)",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
