"""A name of its own for the significance of being new: newness."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Rename a column of two tables in place; SQLite and PostgreSQL both do so without copying a row."""
    for table in ("newsource", "varmetric"):
        op.execute(f"ALTER TABLE {table} RENAME COLUMN significance TO newness")
