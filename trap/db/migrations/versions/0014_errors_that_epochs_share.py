"""The correlation of the errors of neighbouring epochs."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

IDENTIFIER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add a table; it is empty for existing datasets, whose probabilities of η assume independent epochs."""
    op.create_table(
        "epochcorrelation",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("band", IDENTIFIER, nullable=False),
        sa.Column("stokes", sa.Integer(), nullable=False),
        sa.Column("lag", sa.Integer(), nullable=False),
        sa.Column("correlation", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_epochcorrelation"),
        sa.ForeignKeyConstraint(
            ["band"], ["frequencyband.id"], name="fk_epochcorrelation_band_frequencyband", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("band", "stokes", "lag", name="uq_epochcorrelation_band_stokes_lag"),
    )
