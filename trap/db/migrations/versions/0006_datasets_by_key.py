"""Keys of datasets for programs, and the runs of arrived images."""

import sqlalchemy as sa
from alembic import op

from trap.db.types import UtcDateTime

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add a column and a table; existing datasets have no key."""
    with op.batch_alter_table("dataset") as table:
        table.add_column(sa.Column("key", sa.Text(), nullable=True))
        table.create_unique_constraint("uq_dataset_key", ["key"])
    op.create_table(
        "arrival",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("dataset_key", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("batch", sa.Text(), nullable=False),
        sa.Column("taken_ts", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_arrival"),
        sa.UniqueConstraint("dataset_key", "url", "version", name="uq_arrival_dataset_key_url_version"),
    )
    op.create_index("ix_arrival_batch", "arrival", ["batch"])
