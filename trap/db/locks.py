"""Locks that allow one writer per dataset. A second run on a dataset is refused, or waits if its settings allow.

A lock ends with the process that holds it, so that no lock has to be removed by hand. Runs on different datasets of a
database do not wait for each other, and readers never wait.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TextIO

import structlog
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from trap.db.engine import database_errors
from trap.errors import DatabaseError, DatasetLockedError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

__all__ = ["confirm_writer", "writing"]

log = structlog.get_logger(__name__)

LOCK_NAMESPACE = 0x74726170  # "trap", to avoid the advisory locks of other programs
POLL_SECONDS = 0.5
"""Interval between attempts of a waiting run; a wait inside the server could not be interrupted from the keyboard."""


@contextmanager
def writing(engine: Engine, dataset_id: int, *, wait: bool = False) -> Iterator[None]:
    """Hold the writer lock of a dataset.

    Parameters
    ----------
    engine, dataset_id
        Engine of the database, and number of the dataset.
    wait
        Whether to wait for another writer instead of failing.

    Raises
    ------
    DatasetLockedError
        If another run is writing the dataset, in this process or in another one, and ``wait`` is false.
    """
    key = str(engine.url), dataset_id
    is_file = engine.dialect.name == "sqlite"
    lock = (_FileLock if is_file else _ServerLock)(engine, dataset_id)
    _acquire(lock, dataset_id, wait=wait)
    if is_file:
        _files[key] = _identity(engine)
    try:
        yield
    finally:
        _files.pop(key, None)
        lock.release()


def _identity(engine: Engine) -> tuple[int, int] | None:
    """Return device and number of the SQLite file; None if it is missing."""
    try:
        status = Path(str(engine.url.database)).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def confirm_writer(engine: Engine, dataset_id: int) -> None:
    """Check that the lock taken by :func:`writing` still holds; take it again if a restart of the server released it.

    An SQLite file that was removed or replaced since is an error: rows would be stored in a file without a name.

    Without such a lock in this process, nothing is done.

    Parameters
    ----------
    engine, dataset_id
        Engine of the database, and number of the dataset.

    Raises
    ------
    TransientError
        If the lock cannot be taken again now: the server is away, still keeps the lost connection, or has given the
        lock to another run.
    DatabaseError
        If the SQLite file at the path is another one.
    """
    expected = _files.get((str(engine.url), dataset_id))
    if expected is not None and expected != _identity(engine):
        msg = f"the database {engine.url.database} was removed or replaced while this run was writing it"
        raise DatabaseError(msg)
    lock = _on_server.get((str(engine.url), dataset_id))
    if lock is not None:
        lock.confirm()


def _acquire(lock: _FileLock | _ServerLock, dataset_id: int, *, wait: bool) -> None:
    """Take a lock; wait for it if that is allowed, and log the wait once."""
    is_logged = False
    while True:
        try:
            lock.acquire()
        except DatasetLockedError as error:
            if not wait:
                raise
            if not is_logged:
                log.info("waiting_for_dataset", dataset=dataset_id, reason=str(error))
            is_logged = True
            time.sleep(POLL_SECONDS)
        else:
            return


class _ServerLock:
    """An advisory lock of the PostgreSQL server, held by an open transaction of a connection of its own.

    A lock of the session would be lost behind PgBouncer, which in transaction mode gives the session to others after
    every transaction. The open transaction has no snapshot, and delays no cleaning of tables.
    """

    def __init__(self, engine: Engine, dataset_id: int) -> None:
        self._engine = engine
        self._dataset = dataset_id
        self._connection: Connection | None = None

    def acquire(self) -> None:
        """Take the lock."""
        with database_errors():
            connection = self._engine.connect().execution_options(isolation_level="READ COMMITTED")
            # The server may end transactions that wait for long; this one waits for the whole run.
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            attempt = func.pg_try_advisory_xact_lock(LOCK_NAMESPACE, self._dataset)
            is_taken = connection.execute(select(attempt)).scalar_one()
        if not is_taken:
            _end(connection)
            raise DatasetLockedError(_refusal(self._dataset))
        self._connection = connection
        _on_server[str(self._engine.url), self._dataset] = self

    def confirm(self) -> None:
        """Check the connection, and take the lock again if the connection is lost."""
        if self._connection is not None:
            try:
                self._connection.execute(select(1))
            except SQLAlchemyError:
                _end(self._connection)
                self._connection = None
        if self._connection is None:
            try:
                self.acquire()
            except DatasetLockedError as error:
                msg = f"the connection with the lock of dataset {self._dataset} was lost, and {error}"
                raise TransientError(msg) from error

    def release(self) -> None:
        """Release the lock and close its connection."""
        _on_server.pop((str(self._engine.url), self._dataset), None)
        if self._connection is not None:
            # Ended explicitly: the server notices a closed connection late, and a run that starts now would fail.
            with suppress(SQLAlchemyError):
                self._connection.rollback()
            _end(self._connection)


def _end(connection: Connection) -> None:
    """Close a connection instead of returning it to the pool, so that its locks are released."""
    connection.invalidate()
    connection.close()


class _FileLock:
    """A lock on a file next to the SQLite database.

    It is a POSIX lock, since worker processes do not inherit one: with ``flock``, a worker that outlives a killed run
    would keep the dataset locked. A POSIX lock does not exclude its own process, hence the set ``_held``. The holder
    removes the file before it releases the lock; a lock on a file that is no longer at its path counts for nothing.
    """

    def __init__(self, engine: Engine, dataset_id: int) -> None:
        self._path = Path(f"{engine.url.database}.{dataset_id}.lock").absolute()
        self._dataset = dataset_id
        self._file: TextIO | None = None
        self._is_locked = False
        self._process = os.getpid()

    def acquire(self) -> None:
        """Take the lock."""
        with _held_guard:
            if self._path in _held:
                raise DatasetLockedError(_refusal(self._dataset, "this process"))
            _held.add(self._path)
        try:
            while not self._is_locked:
                self._file = self._open()
                self._lock(self._file)
                self._is_locked = self._is_at_path(self._file)
                if not self._is_locked:  # the earlier holder has removed it since it was opened
                    self._file.close()
        except BaseException:
            self.release()
            raise
        self._sweep()

    def _sweep(self) -> None:
        """Remove the files that killed runs on other datasets of the database left."""
        name = self._path.name.removesuffix(f".{self._dataset}.lock")
        with _held_guard, suppress(OSError):
            for path in self._path.parent.glob(f"{escape(name)}.*.lock"):
                # Closing a file would release the lock of this process on it.
                if path not in _held and path.name.removeprefix(name)[1:-5].isdecimal():
                    _remove_unlocked(path)

    def _open(self) -> TextIO:
        try:
            return self._path.open("a+", encoding="utf-8")
        except OSError as error:
            msg = f"cannot lock dataset {self._dataset}: {error}"
            raise DatabaseError(msg) from error

    def _lock(self, file: TextIO) -> None:
        """Lock the open file and write the name of this process into it."""
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise DatasetLockedError(_refusal(self._dataset, file.read().strip())) from None
        with suppress(OSError):  # on a full disk the lock holds, only the name of its holder is missing
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()

    def _is_at_path(self, file: TextIO) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Release the lock."""
        # A forked process has a copy of this object, but not the lock.
        if self._is_locked and self._process == os.getpid():
            with suppress(OSError):  # without permission the file stays, which does no harm
                self._path.unlink()
        if self._file is not None:
            with suppress(OSError):  # a full disk may refuse the buffered name of the holder
                self._file.close()
        self._file, self._is_locked = None, False
        with _held_guard:
            _held.discard(self._path)


def _remove_unlocked(path: Path) -> None:
    """Remove the file of a lock that no process holds."""
    with suppress(OSError), path.open("r+", encoding="utf-8") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()


def _refusal(dataset_id: int, holder: str = "") -> str:
    return f"another run is writing dataset {dataset_id}" + (f" ({holder})" if holder else "")


_held: set[Path] = set()
_held_guard = Lock()
_files: dict[tuple[str, int], tuple[int, int] | None] = {}
"""The SQLite files that this process writes."""
_on_server: dict[tuple[str, int], _ServerLock] = {}
