"""A hash of the pixels of an image, independent of its header."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add a column; it is NULL for existing images."""
    with op.batch_alter_table("image") as table:
        table.add_column(sa.Column("pixel_hash", sa.Text(), nullable=True))
