"""The timeline's key is the event, not its type: some events happen to an order more than once.

The previous release inserts with `ON CONFLICT DO NOTHING`, whatever the key is, and reads by order alone.
"""

from alembic import op

revision = "0005"
down_revision = "0004"

_STATEMENTS = (
    # Readers go on while it is built; the swap after it is a change of names.
    "CREATE UNIQUE INDEX timeline_event ON timeline (order_id, event_id)",
    """ALTER TABLE timeline
        DROP CONSTRAINT timeline_pkey,
        ADD CONSTRAINT timeline_pkey PRIMARY KEY USING INDEX timeline_event""",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
