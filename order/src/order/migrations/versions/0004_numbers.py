"""A number for every order, and what receipts and mails need to know of it.

The previous release writes rows without a number: the default draws one for them, of hexadecimal digits,
which are digits of the number's alphabet too. Those rows have nothing to seal and do not say who is a guest.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

_DRAWN = "upper(substr(gen_random_uuid()::text, 1, 5) || '-' || substr(gen_random_uuid()::text, 1, 5))"

_STATEMENTS = (
    f"""ALTER TABLE orders
        ADD number text NOT NULL DEFAULT {_DRAWN}
            CHECK (number ~ '^[0-9A-HJKMNP-TV-Z]{{5}}-[0-9A-HJKMNP-TV-Z]{{5}}$'),
        ADD guest boolean,
        ADD sealed_shipping text""",
    # Of a million rows that get their number here, every other time two would get the same.
    """DO $$ BEGIN
        LOOP
            UPDATE orders SET number = DEFAULT WHERE order_id IN (
                SELECT order_id FROM (
                    SELECT order_id, row_number() OVER (PARTITION BY number) AS n FROM orders
                ) AS numbered WHERE n > 1
            );
            EXIT WHEN NOT FOUND;
        END LOOP;
    END $$""",
    "CREATE UNIQUE INDEX orders_number ON orders (number)",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
