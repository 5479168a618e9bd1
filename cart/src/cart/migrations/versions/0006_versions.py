"""How often a cart has changed, so that a client can tell whether it is still as it was when it was read.

The database counts, and not the code that writes: steps and the previous release change carts too.
"""

from alembic import op

revision = "0006"
down_revision = "0005"

_STATEMENTS = (
    "ALTER TABLE cart ADD version bigint NOT NULL DEFAULT 1",
    """CREATE FUNCTION count_version() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.version := OLD.version + 1;
        RETURN NEW;
    END $$""",
    """CREATE TRIGGER count_version BEFORE UPDATE ON cart FOR EACH ROW
        WHEN ((OLD.items, OLD.ids, OLD.bought, OLD.merged_into)
            IS DISTINCT FROM (NEW.items, NEW.ids, NEW.bought, NEW.merged_into))
        EXECUTE FUNCTION count_version()""",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
