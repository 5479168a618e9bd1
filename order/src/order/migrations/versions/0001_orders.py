"""Orders, their timelines, and the keys of requests that were carried out."""

from alembic import op

from chassis.schema import create_v1

revision = "0001"
down_revision = None

_TABLES = (
    """CREATE TABLE orders (
        order_id uuid PRIMARY KEY,
        shopper_id uuid NOT NULL,
        lines jsonb NOT NULL CHECK (jsonb_array_length(lines) > 0),
        total int NOT NULL CHECK (total > 0),
        currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
        payment_method text NOT NULL,
        contact text NOT NULL,
        created_at timestamptz NOT NULL,
        deadline timestamptz NOT NULL,
        shipping jsonb,
        status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'paid', 'cancelled')),
        payment_id text,
        paid_at timestamptz,
        cancelled_at timestamptz,
        reason text CHECK (reason IN ('out_of_stock', 'payment_declined', 'shopper', 'expired')),
        short jsonb NOT NULL DEFAULT '[]',
        stock_released_at timestamptz,
        voided_at timestamptz,
        refunded_at timestamptz,
        CHECK ((paid_at IS NULL) = (payment_id IS NULL)),
        CHECK ((cancelled_at IS NULL) = (reason IS NULL)),
        CHECK (CASE status
            WHEN 'pending' THEN paid_at IS NULL AND cancelled_at IS NULL
            WHEN 'paid' THEN paid_at IS NOT NULL AND cancelled_at IS NULL
            ELSE cancelled_at IS NOT NULL END),
        CHECK (paid_at IS NULL OR reason IS NULL OR reason = 'shopper'),
        CHECK (jsonb_array_length(short) = 0 OR reason = 'out_of_stock'),
        CHECK (status = 'cancelled' OR num_nonnulls(stock_released_at, voided_at, refunded_at) = 0),
        CHECK (voided_at IS NULL OR refunded_at IS NULL))""",
    "CREATE INDEX orders_shopper ON orders (shopper_id, order_id)",
    # For both the limit on what a shopper may have open and the sweep of what is past its deadline: only
    # pending orders are in it, so reading the whole of it is cheap.
    "CREATE INDEX orders_pending ON orders (shopper_id, deadline) WHERE status = 'pending'",
    """CREATE TABLE timeline (
        event_id text NOT NULL,
        order_id uuid NOT NULL,
        type text NOT NULL,
        said_by text NOT NULL,
        time timestamptz NOT NULL,
        causation_id text,
        traceparent text,
        data jsonb NOT NULL,
        PRIMARY KEY (order_id, type))""",
    """CREATE TABLE idempotency_keys (
        owner uuid NOT NULL,
        key text NOT NULL,
        fingerprint bytea NOT NULL,
        claim uuid NOT NULL,
        status int,
        body bytea,
        headers jsonb,
        locked_until timestamptz NOT NULL,
        created_at timestamptz NOT NULL,
        PRIMARY KEY (owner, key))""",
    "CREATE INDEX ix_idempotency_keys_created_at ON idempotency_keys (created_at)",
)


def upgrade() -> None:
    create_v1()
    for statement in _TABLES:
        op.execute(statement)
