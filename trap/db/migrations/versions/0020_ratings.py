"""Ratings of transient candidates by people."""

import sqlalchemy as sa
from alembic import op

from trap.db.types import UtcDateTime

revision = "0020"
down_revision = "0019"

IDENTIFIER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
IDENTITY = ("dataset", "taustart_ts", "freq_eff", "stokes", "ra", "decl")


def upgrade() -> None:
    """Create the tables of ratings, and of the candidates that they are about."""
    op.create_table(
        "ratedcandidate",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("dataset", IDENTIFIER, nullable=False),
        sa.Column("taustart_ts", UtcDateTime(), nullable=False),
        sa.Column("freq_eff", sa.Double(), nullable=False),
        sa.Column("stokes", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Double(), nullable=False) for name in ("ra", "decl", "x", "y", "z", "radius")),
        sa.PrimaryKeyConstraint("id", name="pk_ratedcandidate"),
        sa.ForeignKeyConstraint(
            ["dataset"], ["dataset.id"], name="fk_ratedcandidate_dataset_dataset", ondelete="CASCADE"
        ),
        sa.UniqueConstraint(*IDENTITY, name=f"uq_ratedcandidate_{'_'.join(IDENTITY)}"),
    )
    op.create_table(
        "rating",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("candidate", IDENTIFIER, nullable=False),
        sa.Column("rater", sa.Text(), nullable=False),
        sa.Column("rating", sa.Text(), nullable=False),
        sa.Column("rated_ts", UtcDateTime(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False, server_default=sa.text("''")) for name in ("tags", "note")),
        sa.PrimaryKeyConstraint("id", name="pk_rating"),
        sa.ForeignKeyConstraint(
            ["candidate"], ["ratedcandidate.id"], name="fk_rating_candidate_ratedcandidate", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_rating_candidate_rater", "rating", ["candidate", "rater"])
