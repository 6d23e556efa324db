"""Indexes whose upkeep does not grow with the survey, and room for metrics that every timestep changes."""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Drop indexes whose entries lie all over them, and index the measurements of each image by declination."""
    # A new value of V or η lies anywhere in their indexes, a new measurement anywhere in its strip: storing an image
    # changed a page for nearly each of its sources.
    op.drop_index("ix_varmetric_v_int", "varmetric")
    op.drop_index("ix_varmetric_eta_int", "varmetric")
    op.drop_index("ix_extractedsource_decl", "extractedsource")
    op.drop_index("ix_extractedsource_image", "extractedsource")
    op.create_index("ix_extractedsource_image_decl", "extractedsource", ["image", "decl"])
    if op.get_context().dialect.name == "postgresql":
        # PostgreSQL changes a row without updating its indexes if the new version fits on the same page.
        op.execute("ALTER TABLE varmetric SET (fillfactor = 60)")
