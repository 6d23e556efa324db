"""The autocorrelation of the noise of an image, which the errors of later fits in it are computed from."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add a column; it is NULL for earlier images, where fits assume the correlation of the beam."""
    op.add_column("rmsmap", sa.Column("correlation", sa.LargeBinary(), nullable=True))
