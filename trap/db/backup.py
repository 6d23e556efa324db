"""A copy of the whole database in one file, made with the database's own tools while others use it."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import URL

from trap.db.engine import make_engine
from trap.errors import DatabaseError

__all__ = ["backup_database"]


def backup_database(url: str, directory: Path) -> Path:
    """Copy a database into a file ``<host>_<database>_<time>.dump``.

    SQLite is copied through its backup interface, into another SQLite file; PostgreSQL with
    ``pg_dump``, in its custom format, which ``pg_restore`` reads.

    Parameters
    ----------
    directory
        Where the file goes; made if needed.

    Returns
    -------
    The file.

    Raises
    ------
    DatabaseError
        If the database cannot be reached, or ``pg_dump`` is not there or fails.
    """
    engine = make_engine(url)
    engine.dispose()
    parsed = engine.url
    is_sqlite = parsed.get_backend_name() == "sqlite"
    host = socket.gethostname() if is_sqlite else parsed.host or "localhost"
    name = Path(str(parsed.database)).stem if is_sqlite else parsed.database
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{host}_{name}_{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}.dump"
    if is_sqlite:
        _copy_sqlite(Path(str(parsed.database)), path)
    else:
        _dump_postgresql(parsed, path)
    return path


def _copy_sqlite(source: Path, path: Path) -> None:
    with closing(sqlite3.connect(source)) as database, closing(sqlite3.connect(path)) as copy:
        database.backup(copy)


def _dump_postgresql(url: URL, path: Path) -> None:
    program = shutil.which("pg_dump")
    if program is None:
        msg = "pg_dump is not installed; it comes with PostgreSQL's client programs"
        raise DatabaseError(msg)
    # The password goes by the environment: arguments can be seen by everybody on the machine.
    options = {name: value for name, value in url.query.items() if name != "password"}
    password = url.password or url.query.get("password")
    secret = {} if password is None else {"PGPASSWORD": str(password)}
    plain = URL.create("postgresql", url.username, None, url.host, url.port, url.database, options).render_as_string()
    command = [program, "--format=custom", f"--file={path}", f"--dbname={plain}"]
    done = subprocess.run(command, env={**os.environ, **secret}, capture_output=True, text=True, check=False)  # noqa: S603 (a fixed program)
    if done.returncode:
        path.unlink(missing_ok=True)
        msg = f"pg_dump failed: {' '.join(done.stderr.split())}"
        raise DatabaseError(msg)
