"""Orders that wait for pieces which other orders hold."""

from alembic import op

revision = "0005"
down_revision = "0004"

_STATEMENTS = (
    "ALTER TABLE stock ADD waiting jsonb",
    "CREATE INDEX stock_waited_for ON stock (sku) WHERE waiting IS NOT NULL",
    "ALTER TABLE hold ADD waiting_since timestamptz, ADD traceparent text",
    "ALTER TABLE hold DROP CONSTRAINT hold_state_check",
    # It allows more than before, so what is there need not be read for it.
    """ALTER TABLE hold ADD CONSTRAINT hold_state_check CHECK (
        state IN ('waiting', 'reserved', 'rejected', 'sold', 'released', 'restocked', 'refused'))
        NOT VALID""",
    "CREATE INDEX hold_waiting ON hold (waiting_since) WHERE state = 'waiting'",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
