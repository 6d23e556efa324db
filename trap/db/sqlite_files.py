"""SQLite files that can only be read: opened as the last writer left them, without a new file next to them.

A database with a write-ahead log needs files next to it even for reading. In a folder that is read-only they cannot
be made; next to the file of another user they would stop that user's next run. Reading therefore makes none.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import weakref
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from trap.errors import DatabaseError

__all__ = ["ReadOnlyFile", "obstacle"]

ATTEMPTS = 3
"""Number of attempts to open a file whose writer may end meanwhile and remove the files next to it."""


def obstacle(path: Path) -> str | None:
    """Find the reason for which an SQLite file cannot be written.

    Parameters
    ----------
    path
        An existing file.

    Returns
    -------
    The reason; None if the file and its folder can be written.
    """
    if not _is_writable(path):
        return "the file is read-only"
    # The log is next to the file that a link leads to.
    folder = path.resolve().parent
    return None if _is_writable(folder) else f"the folder {folder} is read-only"


def _is_writable(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


class ReadOnlyFile:
    """An SQLite database that cannot be written.

    If a writer has the database open, its log and its locks are used. If no log is left, the file is read without
    locks. The log of a killed writer holds timesteps that the file does not: the database is then copied with its log
    to a temporary folder, which is removed with this object.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    DatabaseError
        If the file cannot be opened, or the copy cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        for attempt in range(1, ATTEMPTS + 1):
            self._uri = self._choose()
            try:
                with closing(self.connect(0.0)) as connection:
                    connection.execute("SELECT count(*) FROM sqlite_master")
            except sqlite3.Error as error:
                if attempt == ATTEMPTS:
                    msg = f"cannot open the database {path}: {error}"
                    raise DatabaseError(msg) from error
            else:
                return

    def connect(self, timeout: float) -> sqlite3.Connection:
        """Open a connection.

        Parameters
        ----------
        timeout
            s — longest wait for a lock.
        """
        return sqlite3.connect(self._uri, uri=True, timeout=timeout, check_same_thread=False)

    def _choose(self) -> str:
        """Return the URI by which the file is opened."""
        log, index, journal = (Path(f"{self._path}-{end}") for end in ("wal", "shm", "journal"))
        if log.exists() and index.exists() and _reads(self._path):
            return f"{_uri(self._path)}?mode=ro"
        left = [file for file in (log, journal) if _size(file)]
        if left:
            return _uri(self._copied([self._path, *left]))
        return f"{_uri(self._path)}?mode=ro&immutable=1"

    def _copied(self, files: list[Path]) -> Path:
        """Copy files to a temporary folder, and return the first of the copies."""
        folder = Path(tempfile.mkdtemp(prefix="transients-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        try:
            for file in files:
                shutil.copyfile(file, folder / file.name)
        except OSError as error:
            msg = f"{files[0]} cannot be read without a copy, since a log of a killed run is next to it: {error}"
            raise DatabaseError(msg) from error
        return folder / files[0].name


def _reads(path: Path) -> bool:
    """Return whether a database can be read with the log and the index next to it."""
    try:
        with closing(sqlite3.connect(f"{_uri(path)}?mode=ro", uri=True)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.Error:
        return False
    return True


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _uri(path: Path) -> str:
    return f"file:{quote(str(path))}"
