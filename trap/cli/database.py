"""The database of a command: opened where it is, its tables made and brought up to date, looked after."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from trap.cli.passwords import database_of_environment, hide_password
from trap.cli.program import command
from trap.config import PipelineConfig
from trap.db.backup import backup_database, dump_database, restore_database
from trap.db.engine import make_engine, reading
from trap.db.schema import check_version, newest_version, upgrade
from trap.db.upkeep import check_database, vacuum_database
from trap.errors import DatabaseError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

__all__ = [
    "check",
    "database_url",
    "dump",
    "open_database",
    "reading_database",
    "restore",
    "upgrade_database",
    "vacuum",
]

UNSOUND = 3
"""Exit code of a check that found something; 1 is that of an error."""


def upgrade_database(arguments: Namespace) -> int:
    """Make the tables, or bring them up to this software's version.

    Raises
    ------
    DatabaseError
        If the database cannot be used, or holds tables of another program.
    """
    url = database_url(arguments.database)
    engine = make_engine(url)
    try:
        upgrade(engine)
    finally:
        engine.dispose()
    print(f"{url} has schema version {newest_version()}")
    return 0


def check(arguments: Namespace) -> int:
    """Look for anything in the database that no run can have left there; print it.

    Returns
    -------
    0 where the database is sound, else 3.

    Raises
    ------
    DatabaseError
        If the database cannot be used, or has another schema version.
    """
    with open_database(arguments.database) as engine:
        problems = check_database(engine)
    print("\n".join(problems) or f"{database_url(arguments.database)} is sound (schema version {newest_version()})")
    return UNSOUND if problems else 0


def vacuum(arguments: Namespace) -> int:
    """Give back the space of what was deleted, and let the database count its rows anew.

    Raises
    ------
    DatabaseError
        If the database cannot be used.
    """
    with open_database(arguments.database) as engine:
        vacuum_database(engine)
    print(f"{database_url(arguments.database)} is vacuumed")
    return 0


def dump(arguments: Namespace) -> int:
    """Copy the database into a file, with the database's own tools.

    Raises
    ------
    DatabaseError
        If the database cannot be used, or its tools fail.
    """
    url, path = _existing(arguments.database), arguments.file
    if path.is_dir():
        path = backup_database(url, path)
    else:
        dump_database(url, path)
    print(f"{path} written; fill an empty database from it with: {command('db', 'restore', path, '--database', 'URL')}")
    return 0


def restore(arguments: Namespace) -> int:
    """Fill an empty database from a file that ``trap db dump`` wrote.

    Raises
    ------
    DatabaseError
        If the database is not empty, or the file is no such copy.
    """
    url = database_url(arguments.database)
    restore_database(url, arguments.file)
    print(f"{url} holds what {arguments.file} held")
    return 0


@contextmanager
def open_database(url: str | None) -> Iterator[Engine]:
    """Open a database that must be there and have this software's tables.

    Parameters
    ----------
    url
        None takes that of the environment, or else the default of the settings.

    Raises
    ------
    DatabaseError
        If there is no such database, or it has other tables than this software needs.
    """
    engine = make_engine(_existing(url))
    try:
        check_version(engine)
        yield engine
    finally:
        engine.dispose()


@contextmanager
def reading_database(url: str | None) -> Iterator[Connection]:
    """Open a database to read from it; as :func:`open_database`."""
    with open_database(url) as engine, reading(engine) as connection:
        yield connection


def database_url(given: str | None, configured: str | None = None) -> str:
    """Choose the database: the one given, or TraP's variables of the environment, or the settings'.

    Returns
    -------
    Its URL without a password, which is where PostgreSQL's library looks for it.

    Raises
    ------
    ConfigError
        If the environment names a kind of database that there is not.
    """
    return hide_password(given or database_of_environment() or configured or PipelineConfig().execution.database)


def _existing(url: str | None) -> str:
    """Return the URL, unless it is that of an SQLite file that is not there: opening would make it."""
    url = database_url(url)
    file = url.removeprefix("sqlite:///")
    if file != url and not Path(file).exists():
        msg = f"there is no database {file}; name one with --database, or make one with: {command('run')}"
        raise DatabaseError(msg)
    return url
