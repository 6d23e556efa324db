"""The calibrations of images, and the values of measurements before calibration."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

IDENTIFIER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
EMPTY, ZERO = sa.text("''"), sa.text("0")
# The light curves of an existing dataset stay of one kind: its later images are not calibrated either.
CONTINUED = """
INSERT INTO config (dataset, section, key, value, type)
SELECT id, 'calibration', '{name}', 'off', 'str' FROM dataset WHERE true ON CONFLICT DO NOTHING
"""
UNCALIBRATED = """
INSERT INTO calibration (image, position_note, flux_note)
SELECT id, '{note}', '{note}' FROM image WHERE NOT EXISTS (SELECT 1 FROM rejection WHERE image = image.id) ORDER BY id
"""
NOTE = "the image was stored before images were calibrated"


def upgrade() -> None:
    """Add a table and columns; existing images are not calibrated, and images that follow in their datasets neither."""
    op.create_table(
        "calibration",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("image", IDENTIFIER, nullable=False),
        _integer("n_calibrators"),
        _text("position_reference"),
        _integer("n_position_matches"),
        sa.Column("position_model", sa.Text(), nullable=False, server_default=sa.text("'none'")),
        sa.Column("position_applied", sa.Boolean(), nullable=False, server_default=sa.false()),
        *_floats("shift_ew", "shift_ns", "shift_ew_err", "shift_ns_err"),
        *_floats("position_scatter_before", "position_scatter", "ew_sys_err", "ns_sys_err"),
        _text("position_note"),
        sa.Column("displacement", sa.Text(), nullable=True),
        _text("flux_reference"),
        _integer("n_flux_matches"),
        sa.Column("flux_applied", sa.Boolean(), nullable=False, server_default=sa.false()),
        *_floats("gain", "gain_err"),
        *(
            sa.Column(name, sa.Double(), nullable=False, server_default=ZERO)
            for name in ("flux_offset", "flux_offset_err")
        ),
        *_floats("flux_scatter"),
        _text("flux_note"),
        *_floats("compactness", "compactness_err", "patch_gain", "patch_snr", "patch_ra", "patch_decl"),
        sa.PrimaryKeyConstraint("id", name="pk_calibration"),
        sa.ForeignKeyConstraint(["image"], ["image.id"], name="fk_calibration_image_image", ondelete="CASCADE"),
        sa.UniqueConstraint("image", name="uq_calibration_image"),
    )
    # Columns that may be NULL are added without a copy of the table.
    for column in _floats("ra_raw", "decl_raw", "f_peak_raw", "f_int_raw", "gain_err"):
        op.add_column("extractedsource", column)
    op.execute(UNCALIBRATED.format(note=NOTE))
    for name in ("positions", "flux_scale"):
        op.execute(CONTINUED.format(name=name))


def _integer(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False, server_default=ZERO)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, server_default=EMPTY)


def _floats(*names: str) -> list[sa.Column[float]]:
    return [sa.Column(name, sa.Double(), nullable=True) for name in names]
