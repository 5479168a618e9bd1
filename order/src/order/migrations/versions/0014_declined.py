"""When an order's payment was declined, and from which network it was placed, by a keyed hash.

The previous release notes neither: what it declines counts against no limit.
"""

from alembic import op

revision = "0014"
down_revision = "0013"

_STATEMENTS = (
    "ALTER TABLE orders ADD network bytea, ADD declined_at timestamptz",
    "CREATE INDEX orders_declined_shopper ON orders (shopper_id, declined_at) WHERE declined_at IS NOT NULL",
    """CREATE INDEX orders_declined_network ON orders (network, declined_at)
        WHERE declined_at IS NOT NULL AND network IS NOT NULL""",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
