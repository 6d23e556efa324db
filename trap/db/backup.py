"""Backups: a copy of the whole database in one file, made with the database's own tools while it is in use."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import URL, inspect

from trap.db.engine import make_engine, reading, show_url
from trap.errors import DatabaseError

__all__ = ["backup_database", "dump_database", "restore_database"]

SQLITE_MARK = b"SQLite format 3\0"
PG_MARK = b"PGDMP"


def backup_database(url: str, directory: Path) -> Path:
    """Copy a database into a file ``<host>_<database>_<time>.dump``, a name that is allowed on every file system.

    SQLite is copied through its backup interface into another SQLite file, PostgreSQL with ``pg_dump`` in its custom
    format, which ``pg_restore`` reads.

    Parameters
    ----------
    url
        URL of the database.
    directory
        Folder of the file; created if it does not exist.

    Returns
    -------
    The file.

    Raises
    ------
    DatabaseError
        If the database cannot be reached, or ``pg_dump`` is missing or fails.
    """
    parsed = _reachable(url)
    is_sqlite = parsed.get_backend_name() == "sqlite"
    host = socket.gethostname() if is_sqlite else parsed.host or "localhost"
    name = Path(str(parsed.database)).stem if is_sqlite else parsed.database
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{host}_{name}_{datetime.now(UTC):%Y-%m-%dT%H%M%S}.dump"
    dump_database(url, path)
    return path


def dump_database(url: str, path: Path) -> None:
    """Copy a database into a file, as :func:`backup_database` does. The file is written completely or not at all.

    Parameters
    ----------
    url
        URL of the database.
    path
        The file.

    Raises
    ------
    DatabaseError
        If the database cannot be reached, the file cannot be written, or ``pg_dump`` is missing or fails.
    """
    parsed = _reachable(url)
    part = path.with_name(f"{path.name}.part")
    try:
        if parsed.get_backend_name() == "sqlite":
            _copy_sqlite(Path(str(parsed.database)), part)
        else:
            _call("pg_dump", parsed, "--format=custom", f"--file={part}")
        part.replace(path)
    except (OSError, sqlite3.Error) as error:
        msg = f"{path}: cannot be written: {error}"
        raise DatabaseError(msg) from error
    finally:
        part.unlink(missing_ok=True)


def restore_database(url: str, path: Path) -> None:
    """Fill an empty database from a file written by :func:`dump_database` from a database of the same kind.

    Parameters
    ----------
    url, path
        URL of the empty database, and the file.

    Raises
    ------
    DatabaseError
        If the database contains tables, the file is no such copy, or ``pg_restore`` is missing or fails.
    """
    parsed = _reachable(url)
    is_of_sqlite = _begins_as(path, SQLITE_MARK)
    if is_of_sqlite != (parsed.get_backend_name() == "sqlite") or not (is_of_sqlite or _begins_as(path, PG_MARK)):
        msg = f"{path} is no copy of a {parsed.get_backend_name()} database, as transients db backup writes it"
        raise DatabaseError(msg)
    _refuse_tables(parsed)
    if is_of_sqlite:
        _copy_sqlite(path, Path(str(parsed.database)))
    else:
        _call("pg_restore", parsed, "--no-owner", "--single-transaction", "--exit-on-error", str(path))


def _reachable(url: str) -> URL:
    engine = make_engine(url)
    engine.dispose()
    return engine.url


def _begins_as(path: Path, mark: bytes) -> bool:
    """Return whether a file begins with a mark."""
    try:
        with path.open("rb") as file:
            return file.read(len(mark)) == mark
    except OSError as error:
        msg = f"{path}: cannot be read: {error}"
        raise DatabaseError(msg) from error


def _refuse_tables(url: URL) -> None:
    """Raise an error if a database contains tables."""
    engine = make_engine(url)
    try:
        with reading(engine) as connection:
            tables = inspect(connection).get_table_names()
    finally:
        engine.dispose()
    if tables:
        msg = f"{show_url(url)} holds tables already ({', '.join(sorted(tables)[:3])}, …); name an empty database"
        raise DatabaseError(msg)


def _copy_sqlite(source: Path, path: Path) -> None:
    with closing(sqlite3.connect(source)) as database, closing(sqlite3.connect(path)) as copy:
        database.backup(copy)


def _call(name: str, url: URL, *arguments: str) -> None:
    """Run one of PostgreSQL's client programs on a database."""
    program = shutil.which(name)
    if program is None:
        msg = f"{name} is not installed; install PostgreSQL's client programs"
        raise DatabaseError(msg)
    # The password is passed in the environment, since all users of the machine can read arguments.
    options = {name: value for name, value in url.query.items() if name != "password"}
    password = url.password or url.query.get("password")
    secret = {} if password is None else {"PGPASSWORD": str(password)}
    plain = URL.create("postgresql", url.username, None, url.host, url.port, url.database, options).render_as_string()
    command = [program, f"--dbname={plain}", *arguments]
    done = subprocess.run(command, env={**os.environ, **secret}, capture_output=True, text=True, check=False)  # noqa: S603 (a fixed program)
    if done.returncode:
        msg = f"{name} failed: {' '.join(done.stderr.split())}"
        raise DatabaseError(msg)
