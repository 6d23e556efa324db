"""Blends and their parts, origins of entries, forced fits without a flux density, and more metrics."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

IDENTIFIER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OF_MEASURED = (
    *("uncertainty_ew", "uncertainty_ns", "ra_err", "decl_err", "ra_fit_err", "decl_fit_err"),
    "error_radius",
)
METRICS = (
    *("v_peak", "eta_peak", "eta_p_value", "modulation", "modulation_err", "vs_max", "m_max", "lightcurve_wavg"),
    *("spectral_index", "spectral_index_err", "sigma_local", "significance"),
)
SQUARED_ERRORS = """
UPDATE runningcatalog_flux SET err2_f_int = COALESCE((
    SELECT SUM(e.f_int_err * e.f_int_err) FROM assocxtrsource a
    JOIN extractedsource e ON e.id = a.xtrsrc JOIN image i ON i.id = e.image
    WHERE a.runcat = runningcatalog_flux.runcat AND i.band = runningcatalog_flux.band
      AND i.stokes = runningcatalog_flux.stokes
), 0)
"""


def upgrade() -> None:
    """Add tables and columns; two-epoch metrics of existing light curves start with their next point."""
    with op.batch_alter_table("extractedsource") as table:
        for name in OF_MEASURED:
            table.alter_column(name, existing_type=sa.Double(), nullable=True)
    with op.batch_alter_table("runningcatalog") as table:
        table.add_column(sa.Column("blend", IDENTIFIER, nullable=True))
        table.add_column(sa.Column("is_blend", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("runningcatalog_flux") as table:
        for name in ("err2_f_int", "vs_f_int", "m_f_int"):
            table.add_column(sa.Column(name, sa.Double(), nullable=False, server_default=sa.text("0")))
    op.execute(SQUARED_ERRORS)
    with op.batch_alter_table("newsource") as table:
        table.add_column(sa.Column("significance", sa.Double(), nullable=True))
        table.add_column(sa.Column("upper_limit", sa.Double(), nullable=True))
    with op.batch_alter_table("varmetric") as table:
        table.add_column(sa.Column("f_datapoints", sa.Integer(), nullable=True))
        for name in METRICS:
            table.add_column(sa.Column(name, sa.Double(), nullable=True))
    _create_lineage()


def _create_lineage() -> None:
    """Create the table of origins of entries."""
    op.create_table(
        "lineage",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("timestep", IDENTIFIER, nullable=False),
        sa.Column("runcat", IDENTIFIER, nullable=False),
        sa.Column("origin", IDENTIFIER, nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_lineage"),
        sa.ForeignKeyConstraint(["timestep"], ["timestep.id"], name="fk_lineage_timestep_timestep", ondelete="CASCADE"),
    )
    op.create_index("ix_lineage_timestep", "lineage", ["timestep"])
    op.create_index("ix_lineage_runcat", "lineage", ["runcat"])
