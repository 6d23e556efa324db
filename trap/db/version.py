"""Version of the tables. This module does not import Alembic, so that a query starts quickly."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import column, inspect, select, table

from trap.db.engine import reading
from trap.db.models import Base
from trap.db.urls import show_url
from trap.errors import DatabaseError, SchemaVersionError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

__all__ = ["ALEMBIC_TABLE", "MIGRATIONS", "check_version", "newest_version", "stored_version", "versions"]

MIGRATIONS = Path(__file__).parent / "migrations"
ALEMBIC_TABLE = "alembic_version"
"""Table of a single row: the version of the tables, as Alembic stores it."""


def check_version(engine: Engine) -> None:
    """Check that the tables have the version of this software.

    Raises
    ------
    SchemaVersionError
        If they have another version; the message contains the remedy.
    """
    with reading(engine) as connection:
        stored = stored_version(connection)
        has_tables = bool(set(inspect(connection).get_table_names()) & set(Base.metadata.tables))
    needed = newest_version()
    if stored == needed:
        return
    url = show_url(engine.url)
    if stored is None and not has_tables:
        msg = f"{url} is empty; create its tables (version {needed}) with: transients db init"
    elif stored is None:
        msg = f"{url} has tables of another program, such as TraP's own; name an empty database"
    elif stored in versions():
        msg = f"{url} has schema version {stored}, version {needed} is needed; upgrade it with: transients db upgrade"
    else:
        msg = (
            f"{url} has schema version {stored}, which is newer than this software (version {needed}); "
            "install a newer trap-transients"
        )
    raise SchemaVersionError(msg)


def newest_version() -> str:
    """Return the schema version of this software."""
    known = versions()
    if not known:
        msg = f"no migrations in {MIGRATIONS}: the installation is incomplete"
        raise DatabaseError(msg)
    return known[-1]


def versions() -> list[str]:
    """List the schema versions that this software knows, the newest last.

    The name of a migration's file begins with its version, and the versions count upwards.
    """
    return sorted(file.name.partition("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def stored_version(connection: Connection) -> str | None:
    """Return the version of the tables of a database; None if Alembic has made none.

    Parameters
    ----------
    connection
        Open connection.
    """
    if not inspect(connection).has_table(ALEMBIC_TABLE):
        return None
    return connection.execute(select(column("version_num")).select_from(table(ALEMBIC_TABLE))).scalar()
