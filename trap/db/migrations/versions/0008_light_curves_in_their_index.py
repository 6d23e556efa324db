"""What a light curve says of its points stands in the index that finds them, where the database can do that."""

from alembic import op

revision = "0008"
down_revision = "0007"

NAME = "uq_assocxtrsource_runcat_xtrsrc"


def upgrade() -> None:
    """Make the constraint anew, with more in its index; SQLite's indexes hold keys only."""
    if op.get_context().dialect.name == "postgresql":
        # While the index is made, what is there can be read.
        op.execute(
            "CREATE UNIQUE INDEX light_curves ON assocxtrsource (runcat, xtrsrc) "
            "INCLUDE (type, v_int, eta_int, f_datapoints)"
        )
        op.drop_constraint(NAME, "assocxtrsource")
        op.execute(f'ALTER TABLE assocxtrsource ADD CONSTRAINT "{NAME}" UNIQUE USING INDEX light_curves')
