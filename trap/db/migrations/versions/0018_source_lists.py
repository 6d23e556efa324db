"""The source lists of other finders."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add columns; they are NULL for existing images, which this pipeline searched."""
    op.add_column("image", sa.Column("source_list", sa.Text(), nullable=True))
    op.add_column("image", sa.Column("finder", sa.Text(), nullable=True))
