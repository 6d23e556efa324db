"""The Stokes parameter of the metrics of an entry."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add a column; it is NULL for entries with several Stokes parameters in the band of their metrics."""
    op.add_column("varmetric", sa.Column("stokes", sa.Integer(), nullable=True))
    op.execute(
        "UPDATE varmetric SET stokes = (SELECT CASE WHEN MIN(f.stokes) = MAX(f.stokes) THEN MIN(f.stokes) END"
        " FROM runningcatalog_flux f WHERE f.runcat = varmetric.runcat AND f.band = varmetric.band)"
    )
