"""Columns of light-curve points in their index, on PostgreSQL."""

from alembic import op

revision = "0008"
down_revision = "0007"

NAME = "uq_assocxtrsource_runcat_xtrsrc"


def upgrade() -> None:
    """Replace the constraint by one whose index holds more columns; SQLite's indexes hold keys only."""
    if op.get_context().dialect.name == "postgresql":
        # Other connections can read the table while the index is built.
        op.execute(
            "CREATE UNIQUE INDEX light_curves ON assocxtrsource (runcat, xtrsrc) "
            "INCLUDE (type, v_int, eta_int, f_datapoints)"
        )
        op.drop_constraint(NAME, "assocxtrsource")
        op.execute(f'ALTER TABLE assocxtrsource ADD CONSTRAINT "{NAME}" UNIQUE USING INDEX light_curves')
