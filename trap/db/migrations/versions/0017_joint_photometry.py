"""The number of components that joint fits do not confirm."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add a column; it is 0 for existing timesteps, which had no joint fits."""
    op.add_column("timestep", sa.Column("n_dropped_unconfirmed", sa.Integer(), nullable=False, server_default="0"))
