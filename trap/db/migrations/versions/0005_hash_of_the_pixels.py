"""Which pixels an image has, whatever its header says of them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add a column; images that are there already do not have what it holds."""
    with op.batch_alter_table("image") as table:
        table.add_column(sa.Column("pixel_hash", sa.Text(), nullable=True))
