"""The numbers of measurements that are left out of a timestep, by reason."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add columns; they are 0 for earlier timesteps, where nothing was counted."""
    for reason in ("outside", "edge", "masked", "unfitted", "unmeasured"):
        op.add_column("timestep", sa.Column(f"n_dropped_{reason}", sa.Integer(), nullable=False, server_default="0"))
