"""The searched areas of images; the expected number of noise peaks of candidates, and their earlier measurements."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add columns; they are NULL, or 0, for existing images and candidates, whose pixels are not read again."""
    for name in ("n_pixels", "n_beams"):
        op.add_column("image", sa.Column(name, sa.BigInteger(), nullable=True))
    op.add_column("image", sa.Column("n_negative", sa.Integer(), nullable=True))
    for name in ("negative_tiles", "negative_depths"):
        op.add_column("rmsmap", sa.Column(name, sa.LargeBinary(), nullable=True))
    op.add_column("newsource", sa.Column("noise_peaks", sa.Double(), nullable=True))
    op.add_column("newsource", sa.Column("grade", sa.Integer(), nullable=True))
    op.add_column("newsource", sa.Column("n_measured", sa.Integer(), nullable=False, server_default="0"))
