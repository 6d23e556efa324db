"""The pages of runs in Prefect."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Add a column; it is NULL for existing runs, whose pages are not known."""
    op.add_column("run", sa.Column("page", sa.Text(), nullable=True))
