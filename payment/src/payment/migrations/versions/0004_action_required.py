"""Payments that wait for their shopper to confirm with her bank: where, and until when.

The previous release never writes such a state. A payment in it that the previous release hears cancelled is
noted so, and voided by this release, whose call asks whether the shopper has confirmed.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

_STATEMENTS = (
    "ALTER TABLE payment ADD action_url text, ADD action_expires_at timestamptz",
    # NOT VALID: rows as they are satisfy both, so nobody has to wait until all were looked at.
    """ALTER TABLE payment
        DROP CONSTRAINT payment_state_check,
        ADD CONSTRAINT payment_state_check CHECK (state IN (
            'expected', 'authorizing', 'action_required', 'authorized', 'capturing', 'captured', 'voiding',
            'voided', 'refunding', 'refunded', 'refund_failed', 'declined', 'refused')) NOT VALID,
        ADD CONSTRAINT who_is_asked_has_time CHECK (
            state <> 'action_required' OR action_url IS NOT NULL AND action_expires_at IS NOT NULL
        ) NOT VALID""",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
