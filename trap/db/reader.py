"""Reading by a program that stays open for days, such as a notebook.

Between two reads no connection is open: a run goes on writing, a server can be restarted, and an SQLite file can be
moved, deleted or made again. Such a program may also fork, and a connection must not be used by two processes.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from trap.db.engine import absolute_url, make_engine, reading, transaction
from trap.db.sqlite_files import obstacle
from trap.db.urls import parse_url, show_url
from trap.db.version import check_version
from trap.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

__all__ = ["Reader"]


class Reader:
    """Reads of one database, each in its own connection. Several threads may read at once.

    Parameters
    ----------
    url
        URL of the database, or path of an SQLite file. A missing file is not created.

    Raises
    ------
    DatabaseError
        If the database does not exist or cannot be reached.
    SchemaVersionError
        If its tables have another version than this software.
    """

    def __init__(self, url: str) -> None:
        self._url = parse_url(absolute_url(url))  # the program may enter another folder
        self._lock = Lock()
        self._engine: Engine | None = None
        self._state: tuple[object, ...] = ()
        self._current_engine()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._url.render_as_string(hide_password=False),)

    def __str__(self) -> str:
        return show_url(self._url)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that reads one state of the database; its connection is closed at the end of the block.

        Raises
        ------
        DatabaseError
            If the database has gone, or cannot be reached.
        TransientError
            If a retry may help.
        """
        with reading(self._current_engine()) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that writes: values that no result depends on. Its connection is closed at the end.

        Raises
        ------
        DatabaseError
            If the database has gone, cannot be reached, or cannot be written.
        TransientError
            If a retry may help.
        """
        with transaction(self._current_engine()) as connection:
            yield connection

    def _current_engine(self) -> Engine:
        """Return the engine of the database; a new one if the file has become another one, or read-only."""
        with self._lock:
            state = self._file_state()
            if self._engine is None or state != self._state:
                engine = make_engine(self._url, keeps_connections=False)
                check_version(engine)
                self._engine, self._state = engine, state
            return self._engine

    def _file_state(self) -> tuple[object, ...]:
        """Return values that change when an SQLite file must be opened in another way; empty for PostgreSQL."""
        if self._url.get_backend_name() != "sqlite":
            return ()
        path = Path(str(self._url.database))
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "does not exist"
            msg = f"database {path} {what}; give the path of the file that a run wrote with --database"
            raise DatabaseError(msg)
        number = path.stat().st_ino
        if obstacle(path) is None:
            return (number,)
        # A file that is read-only may be read without locks, or from a copy: both end when another user writes it.
        files = [path, *(Path(f"{path}-{end}") for end in ("wal", "shm", "journal"))]
        stats = [file.stat() if file.exists() else None for file in files]
        return (number, *(stat and (stat.st_size, stat.st_mtime_ns) for stat in stats))
