"""The number of components that joint fits do not confirm, and of images that candidates were measured in."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add columns; they are 0 for existing timesteps, which had no joint fits, and for existing candidates."""
    op.add_column("timestep", sa.Column("n_dropped_unconfirmed", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("newsource", sa.Column("n_measured", sa.Integer(), nullable=False, server_default="0"))
