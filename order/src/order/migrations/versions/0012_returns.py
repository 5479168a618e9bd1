"""When an order was fulfilled, what goes back of it, who of the staff did what, and who cancelled it.

The previous release writes none of this and reads its own columns by name.
"""

from alembic import op

revision = "0012"
down_revision = "0011"

_STATEMENTS = (
    """ALTER TABLE orders
        ADD cancelled_by text,
        ADD fulfilled_at timestamptz,
        ADD returns jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(returns) = 'array'),
        ADD returning_since timestamptz""",
    """ALTER TABLE orders ADD CONSTRAINT only_a_paid_order_is_fulfilled
        CHECK (fulfilled_at IS NULL OR status = 'paid') NOT VALID""",
    "ALTER TABLE orders VALIDATE CONSTRAINT only_a_paid_order_is_fulfilled",
    "CREATE INDEX orders_returning ON orders (returning_since) WHERE returning_since IS NOT NULL",
    """CREATE TABLE staff_action (
        action_id uuid PRIMARY KEY,
        order_id uuid NOT NULL,
        action text NOT NULL,
        done_by uuid NOT NULL,
        done_at timestamptz NOT NULL,
        why text,
        about jsonb NOT NULL)""",
    "CREATE INDEX staff_action_of_order ON staff_action (order_id)",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
