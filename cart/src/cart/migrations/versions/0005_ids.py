"""What a cart counts as when it is ordered, and which orders are out of it.

The database gives a cart other ids, and not the code that writes: the previous release changes carts too.
What shares no product with what was there is another cart. One that is merely emptied is not yet.
"""

from alembic import op

revision = "0005"
down_revision = "0004"

_STATEMENTS = (
    """ALTER TABLE cart
        ADD ids uuid[] NOT NULL DEFAULT ARRAY[gen_random_uuid()],
        ADD bought uuid[] NOT NULL DEFAULT '{}'""",
    """CREATE FUNCTION is_another_cart() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NOT OLD.items ?| ARRAY(SELECT jsonb_object_keys(NEW.items)) THEN
            NEW.ids := ARRAY[gen_random_uuid()];
            NEW.bought := '{}';
        END IF;
        RETURN NEW;
    END $$""",
    """CREATE TRIGGER is_another_cart BEFORE UPDATE OF items ON cart FOR EACH ROW
        WHEN (NEW.ids = OLD.ids AND NEW.items <> '{}'::jsonb)
        EXECUTE FUNCTION is_another_cart()""",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
