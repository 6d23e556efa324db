"""Upgrades of the tables to the version of this software."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from sqlalchemy import func, inspect, select
from sqlalchemy.dialects import postgresql, sqlite

from trap.codes import RejectReason as Reason
from trap.db.engine import database_errors
from trap.db.models import Base, RejectReason, Version
from trap.db.version import MIGRATIONS, newest_version, stored_version, versions
from trap.errors import DatabaseError, SchemaVersionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

__all__ = ["upgrade"]

TRAP_REVISION = 40
"""TraP's last schema revision (R6); the schema contains all its tables and columns."""

UPGRADE_LOCK = 0x74726170  # "trap"; a writer's lock has two numbers, so that the two cannot collide


def upgrade(engine: Engine) -> None:
    """Create the tables, or upgrade them to the version of this software, completely or not at all.

    On an upgraded database nothing is changed. If two programs upgrade at once, one waits for the other.

    Raises
    ------
    SchemaVersionError
        If the database is newer than this software.
    DatabaseError
        If the database contains other tables of the same names, or a migration fails.
    """
    with _migrating(engine) as connection:
        _refuse_foreign(connection)
        command.upgrade(_alembic_config(connection), "head")
        _store_constants(connection)


def _refuse_foreign(connection: Connection) -> None:
    """Raise an error if the database is newer than this software, or belongs to another program."""
    stored = stored_version(connection)
    if stored is not None and stored not in versions():
        msg = (
            f"schema version {stored} is newer than this software (version {newest_version()}); "
            "install a newer trap-transients"
        )
        raise SchemaVersionError(msg)
    taken = set(inspect(connection).get_table_names()) & set(Base.metadata.tables)
    if stored is None and taken:
        msg = f"the database holds tables of another program ({', '.join(sorted(taken))}); name an empty database"
        raise DatabaseError(msg)


def _alembic_config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


@contextmanager
def _migrating(engine: Engine) -> Iterator[Connection]:
    """Open a transaction for migrations; no other program can migrate the database until it ends."""
    with database_errors(), engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            # SQLite alters a table by copying and dropping it; the drop must not delete rows that refer to it.
            with _without_foreign_keys(connection), connection.begin():
                yield connection
                _check_foreign_keys(connection)
        else:
            with connection.begin():
                connection.execute(select(func.pg_advisory_xact_lock(UPGRADE_LOCK)))
                yield connection


@contextmanager
def _without_foreign_keys(connection: Connection) -> Iterator[None]:
    """Switch off the foreign keys of SQLite in the block."""
    # SQLite ignores this inside a transaction, and SQLAlchemy begins one with its first statement.
    cursor = connection.connection.cursor()
    cursor.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()


def _check_foreign_keys(connection: Connection) -> None:
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if broken is not None:
        msg = f"after the migration a row of table {broken[0]} refers to a missing row of {broken[2]}"
        raise DatabaseError(msg)


def _store_constants(connection: Connection) -> None:
    """Insert the rows that code refers to, unless they exist."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    reasons = [{"id": int(reason), "description": reason.description} for reason in Reason]
    connection.execute(insert(RejectReason).on_conflict_do_nothing(), reasons)
    connection.execute(insert(Version).on_conflict_do_nothing(), [{"name": "revision", "value": TRAP_REVISION}])
