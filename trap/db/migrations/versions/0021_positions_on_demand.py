"""Positions that are measured on demand, in tables of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"

IDENTIFIER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
VALUES = ("f_int", "f_int_err", "f_peak", "f_peak_err", "rms", "det_sigma", "chisq", "reduced_chisq", "x_pix", "y_pix")


def upgrade() -> None:
    """Add two tables: positions, and their points."""
    op.create_table(
        "positionfit",
        _number("id"),
        _number("dataset"),
        sa.Column("ra", sa.Double(), nullable=False),
        sa.Column("decl", sa.Double(), nullable=False),
        sa.Column("made_ts", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_ts", sa.DateTime(timezone=True), nullable=False),
        sa.Column("software_version", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_positionfit"),
        _key("positionfit", "dataset", "dataset"),
        sa.UniqueConstraint("dataset", "ra", "decl", name="uq_positionfit_dataset_ra_decl"),
    )
    op.create_table(
        "positionpoint",
        *(_number(name) for name in ("id", "fit", "image")),
        *(sa.Column(name, sa.Double(), nullable=True) for name in VALUES),
        sa.Column("flags", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("gain", sa.Double(), nullable=False, server_default=sa.text("1")),
        *(sa.Column(name, sa.Double(), nullable=True) for name in ("gain_err", "f_int_raw", "f_peak_raw")),
        sa.Column("reason", sa.Text(), nullable=False, server_default=sa.text("''")),
        sa.Column("is_read", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_positionpoint"),
        _key("positionpoint", "fit", "positionfit"),
        _key("positionpoint", "image", "image"),
        sa.UniqueConstraint("fit", "image", name="uq_positionpoint_fit_image"),
    )
    op.create_index("ix_positionpoint_image", "positionpoint", ["image"])


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, IDENTIFIER, nullable=False)


def _key(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=f"fk_{table}_{column}_{target}", ondelete="CASCADE")
