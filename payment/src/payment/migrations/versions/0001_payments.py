"""Payments, and the webhooks that were acted upon."""

from alembic import op

from chassis.schema import create_v1

revision = "0001"
down_revision = None

_STATEMENTS = (
    """CREATE TABLE payment (
        order_id uuid PRIMARY KEY,
        state text NOT NULL CHECK (state IN (
            'expected', 'authorizing', 'authorized', 'capturing', 'captured', 'voiding', 'voided',
            'refunding', 'refunded', 'refund_failed', 'declined', 'refused')),
        order_created jsonb,
        stock_reserved boolean NOT NULL,
        cancelled boolean NOT NULL,
        payment_id text,
        code text,
        refunds_refused int NOT NULL,
        refund_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT nothing_is_taken_for_a_cancelled_order CHECK (
            NOT cancelled OR state NOT IN ('expected', 'authorized', 'capturing', 'captured')),
        CONSTRAINT nothing_is_taken_without_stock CHECK (
            stock_reserved OR state NOT IN ('capturing', 'captured')),
        CONSTRAINT money_is_asked_for_a_known_order CHECK (
            order_created IS NOT NULL OR state IN ('expected', 'refused')),
        CONSTRAINT money_has_a_payment CHECK (
            payment_id IS NOT NULL OR state IN ('expected', 'authorizing', 'declined', 'refused')))""",
    """CREATE INDEX payment_open ON payment (created_at)
        WHERE state NOT IN ('captured', 'voided', 'refunded', 'declined', 'refused')""",
    "CREATE TABLE webhook (event_id text PRIMARY KEY, seen_at timestamptz NOT NULL DEFAULT now())",
    "CREATE INDEX webhook_seen_at ON webhook USING brin (seen_at)",
)


def upgrade() -> None:
    create_v1()
    for statement in _STATEMENTS:
        op.execute(statement)
