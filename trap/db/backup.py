"""Backups: a copy of the whole database in one file, made with the database's own tools while it is in use."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sqlite3
import subprocess
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

from sqlalchemy import URL, inspect

from trap.db.dump_files import check_seal, check_sqlite, no_tables, publish, refuse_target, seal
from trap.db.engine import make_engine, reading
from trap.db.sqlite_files import ReadOnlyFile
from trap.db.urls import parse_url, show_url
from trap.db.version import ALEMBIC_TABLE
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
    # An address of IPv6 has colons, and the name of a database may have any character.
    stem = re.sub(r"[^\w.-]+", "-", f"{host}_{name}", flags=re.ASCII).strip(".-")
    path = directory / f"{stem}_{datetime.now(UTC):%Y-%m-%dT%H%M%S}.dump"
    dump_database(url, path)
    return path


def dump_database(url: str, path: Path, *, overwrite: bool = False) -> None:
    """Copy a database into a file, as :func:`backup_database` does. The file is written completely or not at all.

    Parameters
    ----------
    url
        URL of the database.
    path
        The file.
    overwrite
        Whether an existing file is replaced. The database itself, its write-ahead log and devices never are.

    Raises
    ------
    DatabaseError
        If the database cannot be reached, the file exists or cannot be written, or ``pg_dump`` is missing or fails.
    """
    parsed = _reachable(url)
    source = Path(str(parsed.database)) if parsed.get_backend_name() == "sqlite" else None
    refuse_target(path, source, overwrite=overwrite)
    # A name of its own: the file of another dump, or the database, may have the name that is easily guessed.
    part = path.with_name(f"{path.name[:200]}.{token_hex(4)}.part")
    try:
        if source is not None:
            _copy_sqlite(parsed, part)
        else:
            _call("pg_dump", parsed, "--format=custom", f"--file={part}")
        seal(part)
        publish(part, path, overwrite=overwrite)
    except (OSError, sqlite3.Error) as error:
        msg = f"{path}: cannot be written: {error}"
        raise DatabaseError(msg) from error
    finally:
        part.unlink(missing_ok=True)


def restore_database(url: str, path: Path) -> None:
    """Fill an empty database from a file written by :func:`dump_database` from a database of the same kind.

    A damaged file is refused; the database then stays empty.

    Parameters
    ----------
    url, path
        URL of the empty database, and the file.

    Raises
    ------
    DatabaseError
        If the database contains tables, the file is no such copy or is damaged, or ``pg_restore`` is missing or fails.
    """
    is_of_sqlite = _begins_as(path, SQLITE_MARK)
    kind = parse_url(url).get_backend_name()
    if is_of_sqlite != (kind == "sqlite") or not (is_of_sqlite or _begins_as(path, PG_MARK)):
        msg = f"{path} is no copy of a {kind} database, as transients db dump writes it"
        raise DatabaseError(msg)
    check_seal(path)
    if is_of_sqlite:
        check_sqlite(path)
    elif ALEMBIC_TABLE not in _call("pg_restore", None, "--list", str(path)):
        raise DatabaseError(no_tables(path))
    parsed = _reachable(url)
    _refuse_tables(parsed)
    if not is_of_sqlite:
        _call("pg_restore", parsed, "--no-owner", "--single-transaction", "--exit-on-error", str(path))
        return
    target = str(parsed.database)
    try:
        with closing(ReadOnlyFile(path).connect(0.0)) as dump, closing(sqlite3.connect(target)) as database:
            dump.backup(database)
    except sqlite3.Error as error:
        msg = f"{path}: cannot be restored to {show_url(parsed)}: {error}"
        raise DatabaseError(msg) from error


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


def _copy_sqlite(url: URL, path: Path) -> None:
    """Copy an SQLite database into a new file."""
    engine = make_engine(url)
    try:
        with closing(engine.raw_connection()) as connection, closing(sqlite3.connect(path)) as copy:
            driver: Any = connection.driver_connection
            driver.backup(copy)
            # Without a write-ahead log, the copy can be read in a folder that cannot be written.
            copy.execute("PRAGMA journal_mode = DELETE")
    finally:
        engine.dispose()


def _call(name: str, url: URL | None, *arguments: str) -> str:
    """Run one of PostgreSQL's client programs, on a database or on a file alone; return its output."""
    program = shutil.which(name)
    if program is None:
        msg = f"{name} is not installed; install PostgreSQL's client programs"
        raise DatabaseError(msg)
    words, secret = ([], {}) if url is None else _login(url)
    done = subprocess.run(  # noqa: S603 (a fixed program)
        [program, *words, *arguments], env={**os.environ, **secret}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        msg = f"{name} failed: {' '.join(done.stderr.split())}"
        raise DatabaseError(msg)
    return done.stdout


def _login(url: URL) -> tuple[list[str], dict[str, str]]:
    """Return the argument that names a database, and the environment with its password.

    All users of the machine can read arguments.
    """
    options = {name: value for name, value in url.query.items() if name != "password"}
    password = url.password or url.query.get("password")
    plain = URL.create("postgresql", url.username, None, url.host, url.port, url.database, options).render_as_string()
    return [f"--dbname={plain}"], {} if password is None else {"PGPASSWORD": str(password)}
