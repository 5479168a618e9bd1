"""The catalogue, its stock, and what is held of it."""

from alembic import op

from chassis.schema import create_v1

revision = "0001"
down_revision = None

_STATEMENTS = (
    """CREATE TABLE product (
        sku text PRIMARY KEY,
        name text NOT NULL,
        description text NOT NULL,
        category text,
        price bigint NOT NULL CHECK (price >= 0),
        currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
        status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'retired')),
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        search tsvector NOT NULL GENERATED ALWAYS AS (
            setweight(to_tsvector('english', name), 'A')
            || setweight(to_tsvector('simple', sku), 'A')
            || setweight(to_tsvector('english', coalesce(category, '')), 'B')
            || setweight(to_tsvector('english', description), 'C')) STORED,
        UNIQUE (sku, status))""",
    "CREATE INDEX product_search ON product USING gin (search)",
    "CREATE INDEX product_by_name ON product (name, sku) WHERE status = 'active'",
    "CREATE INDEX product_by_price ON product (price, sku) WHERE status = 'active'",
    "CREATE INDEX product_by_age ON product (created_at, sku) WHERE status = 'active'",
    # The foreign key keeps the status that a reservation reads in its one row the product's own.
    """CREATE TABLE stock (
        sku text PRIMARY KEY,
        on_hand bigint NOT NULL CHECK (on_hand >= 0),
        reserved bigint NOT NULL CHECK (reserved >= 0),
        sold bigint NOT NULL CHECK (sold >= 0),
        received bigint NOT NULL CHECK (received >= 0),
        status text NOT NULL,
        CONSTRAINT nothing_leaks CHECK (on_hand + reserved + sold = received),
        FOREIGN KEY (sku, status) REFERENCES product (sku, status) ON UPDATE CASCADE)
        WITH (fillfactor = 50)""",
    """CREATE TABLE adjustment (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        sku text NOT NULL REFERENCES product (sku),
        delta bigint NOT NULL CHECK (delta <> 0),
        reason text NOT NULL,
        adjusted_by uuid NOT NULL,
        adjusted_at timestamptz NOT NULL DEFAULT now())""",
    "CREATE INDEX adjustment_by_sku ON adjustment (sku, id)",
    """CREATE TABLE hold (
        order_id uuid PRIMARY KEY,
        state text NOT NULL CHECK (
            state IN ('reserved', 'rejected', 'sold', 'released', 'restocked', 'refused')),
        lines jsonb NOT NULL)""",
)


def upgrade() -> None:
    create_v1()
    for statement in _STATEMENTS:
        op.execute(statement)
