"""The signs of artefacts of transient candidates, and their score."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

SIGNS = (
    "score",
    "bright_ratio",
    "bright_distance",
    "brightest_ratio",
    "brightest_distance",
    "ring_sigma",
    "mirror_ratio",
    "negative_ratio",
    "negative_distance",
    "edge_distance",
    "beam_areas",
    "shape_sigma",
    "n_in_image",
    "absent_sigma",
    "local_gain",
    "local_gain_sigma",
)


def upgrade() -> None:
    """Add columns; they are NULL for the candidates of existing datasets, whose images may be gone."""
    for name in SIGNS:
        op.add_column("newsource", sa.Column(name, sa.Double(), nullable=True))
