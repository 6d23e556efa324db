"""Noise of images on tiles of the sky, and the noise at the position of a transient candidate."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add columns; they are NULL or 0 for existing images and candidates."""
    with op.batch_alter_table("rmsmap") as table:
        table.add_column(sa.Column("tile_order", sa.Integer(), nullable=True))
        table.add_column(sa.Column("tiles", sa.LargeBinary(), nullable=True))
        table.add_column(sa.Column("tile_rms", sa.LargeBinary(), nullable=True))
    with op.batch_alter_table("newsource") as table:
        table.add_column(sa.Column("sigma_local", sa.Double(), nullable=True))
        table.add_column(sa.Column("n_looks", sa.Integer(), nullable=False, server_default=sa.text("0")))
