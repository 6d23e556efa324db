"""The database of a command: choosing, opening, upgrading, checking, dumping and restoring it."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from trap.cli.passwords import database_of_environment, hide_password
from trap.cli.terminal import command, reported_errors
from trap.config import PipelineConfig
from trap.config.sections import full_url
from trap.db.engine import make_engine, reading
from trap.db.version import check_version, newest_version
from trap.errors import DatabaseError
from trap.escapes import plain_lines, plain_text
from trap.images.patterns import path_of, path_text

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from trap.db.engine import Connection, Engine

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
"""Exit code of a check that found a problem; 1 is the exit code of an error."""


def upgrade_database(arguments: Namespace) -> int:
    """Create the tables, or upgrade them to the schema version of this software.

    Raises
    ------
    DatabaseError
        If the database cannot be used, or holds tables of another program.
    """
    from trap.db.schema import upgrade  # Alembic, which no query needs

    url = database_url(arguments.database)
    engine = make_engine(url)
    try:
        upgrade(engine)
    finally:
        engine.dispose()
    print(plain_text(f"{url} has schema version {newest_version()}"))
    return 0


def check(arguments: Namespace) -> int:
    """Check the integrity of the database and print the problems.

    Returns
    -------
    0 if the database is sound, otherwise 3.

    Raises
    ------
    DatabaseError
        If the database cannot be used, or has another schema version.
    """
    from trap.db.upkeep import check_database  # Alembic

    with open_database(arguments.database) as engine:
        problems = check_database(engine)
    sound = f"{database_url(arguments.database)} is sound (schema version {newest_version()})"
    print(plain_lines(problems or [sound]))
    return UNSOUND if problems else 0


def vacuum(arguments: Namespace) -> int:
    """Free the space of deleted rows, and update the statistics of the database.

    Raises
    ------
    DatabaseError
        If the database cannot be used.
    """
    from trap.db.upkeep import vacuum_database  # Alembic

    with open_database(arguments.database) as engine:
        vacuum_database(engine)
    print(plain_text(f"{database_url(arguments.database)} is vacuumed"))
    return 0


def dump(arguments: Namespace) -> int:
    """Dump the database into a file, with the database's own tools.

    Raises
    ------
    DatabaseError
        If the database cannot be used, or its tools fail.
    """
    from trap.db.backup import backup_database, dump_database

    url, path = _existing(arguments.database), Path(arguments.file)
    # A path has no slash at its end any more.
    if path.is_dir() or str(arguments.file).endswith("/"):
        with reported_errors(path):
            path = backup_database(url, path)
    else:
        dump_database(url, path, overwrite=arguments.overwrite)
    restoring = command("db", "restore", path, "--database", "URL")
    print(plain_text(f"{path} written; fill an empty database from it with: {restoring}"))
    return 0


def restore(arguments: Namespace) -> int:
    """Restore a dump of ``transients db dump`` into an empty database.

    Raises
    ------
    DatabaseError
        If the database is not empty, or the file is not a dump.
    """
    from trap.db.backup import restore_database

    url = database_url(arguments.database)
    restore_database(url, arguments.file)
    print(plain_text(f"restored {arguments.file} to {url}"))
    return 0


@contextmanager
def open_database(url: str | None) -> Iterator[Engine]:
    """Open an existing database whose tables have the schema version of this software.

    Parameters
    ----------
    url
        URL of the database. If None, the URL of the environment or the default of the settings is used.

    Raises
    ------
    DatabaseError
        If the database does not exist, or has another schema version.
    """
    engine = make_engine(_existing(url))
    try:
        check_version(engine)
        yield engine
    finally:
        engine.dispose()


@contextmanager
def reading_database(url: str | None) -> Iterator[Connection]:
    """Open a connection for reading, as :func:`open_database` does."""
    with open_database(url) as engine, reading(engine) as connection:
        yield connection


def database_url(option: str | None, configured: str | None = None) -> str:
    """Return the URL of the database, without its password.

    The password goes to the environment variable that PostgreSQL's library reads.

    Parameters
    ----------
    option
        URL or path of the option ``--database``, which has precedence; None if the option is absent.
    configured
        URL of the settings, used if neither the option nor TraP's environment variables name a database.

    Raises
    ------
    ConfigError
        If the environment names a kind of database that is not supported.
    """
    chosen = option or database_of_environment() or configured or PipelineConfig().execution.database
    return hide_password(full_url(path_text(chosen)))


def _existing(url: str | None) -> str:
    """Return the URL of the database; fail if it names a missing SQLite file, which opening would create."""
    url = database_url(url)
    file = url.removeprefix("sqlite:///")
    if file != url and not path_of(file).exists():
        msg = f"database {file} does not exist; name another with --database, or create it with: {command('run')}"
        raise DatabaseError(msg)
    return url
