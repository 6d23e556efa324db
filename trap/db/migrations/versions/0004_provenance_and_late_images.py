"""Runs of the pipeline, late images, and paths of kept pixels."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

IDENTIFIER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add a table and columns; existing timesteps have no run, and existing images are not late."""
    op.create_table(
        "run",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("dataset", IDENTIFIER, nullable=False),
        sa.Column("start_ts", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end_ts", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("software", "config_hash", "config")),
        sa.PrimaryKeyConstraint("id", name="pk_run"),
        sa.ForeignKeyConstraint(["dataset"], ["dataset.id"], name="fk_run_dataset_dataset", ondelete="CASCADE"),
    )
    op.create_index("ix_run_dataset", "run", ["dataset"])
    with op.batch_alter_table("timestep") as table:
        table.add_column(sa.Column("run", IDENTIFIER, nullable=True))
        table.create_foreign_key("fk_timestep_run_run", "run", ["run"], ["id"], ondelete="SET NULL")
        table.create_index("ix_timestep_run", ["run"])
    with op.batch_alter_table("image") as table:
        table.add_column(sa.Column("late", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("imagedata") as table:
        table.add_column(sa.Column("path", sa.Text(), nullable=True))
        table.add_column(sa.Column("kind", sa.Text(), nullable=True))
