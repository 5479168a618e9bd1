"""A product's picture, and the text for those who cannot see it.

The previous release writes neither: its products have no picture.
"""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("ALTER TABLE product ADD picture text, ADD picture_alt text NOT NULL DEFAULT ''")
