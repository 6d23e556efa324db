"""One writer a dataset: a second run on the same dataset is refused at once, or waits if it was told to.

The lock dies with its holder, however that dies, so that nobody ever has to remove one by hand.
Runs on different datasets of one database do not hinder each other, nor do readers.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TextIO

import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from trap.db.engine import database_errors
from trap.errors import DatabaseError, DatasetLockedError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

__all__ = ["confirm_writer", "writing"]

log = structlog.get_logger(__name__)

LOCK_NAMESPACE = 0x74726170  # "trap", so as not to meet the advisory locks of others
POLL_SECONDS = 0.5
"""How often a run that waits asks again; a wait inside the server could not be interrupted from the keyboard."""


@contextmanager
def writing(engine: Engine, dataset_id: int, *, wait: bool = False) -> Iterator[None]:
    """Be the only writer of a dataset.

    Parameters
    ----------
    wait
        Whether to wait until another writer has ended.

    Raises
    ------
    DatasetLockedError
        If another run is writing it, in this process or in any other, and it is not waited for.
    """
    lock = (_FileLock if engine.dialect.name == "sqlite" else _ServerLock)(engine, dataset_id)
    _take(lock, dataset_id, wait=wait)
    try:
        yield
    finally:
        lock.release()


def confirm_writer(engine: Engine, dataset_id: int) -> None:
    """See that the lock taken by :func:`writing` still holds: a server that was restarted has forgotten it.

    It is taken again then. Where none was taken, in this process, nothing is done.

    Raises
    ------
    TransientError
        If it cannot be had now: the server is away, still minds the connection that was lost, or has
        given the lock to another run.
    """
    lock = _on_server.get((str(engine.url), dataset_id))
    if lock is not None:
        lock.confirm()


def _take(lock: _FileLock | _ServerLock, dataset_id: int, *, wait: bool) -> None:
    is_told = False
    while True:
        try:
            lock.take()
        except DatasetLockedError as error:
            if not wait:
                raise
            if not is_told:
                log.info("waiting_for_dataset", dataset=dataset_id, reason=str(error))
            is_told = True
            time.sleep(POLL_SECONDS)
        else:
            return


class _ServerLock:
    """A lock of the PostgreSQL server, which belongs to a connection of its own."""

    def __init__(self, engine: Engine, dataset_id: int) -> None:
        self._engine = engine
        self._dataset = dataset_id
        self._connection: Connection | None = None

    def take(self) -> None:
        with database_errors():
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            wanted = func.pg_try_advisory_lock(LOCK_NAMESPACE, self._dataset)
            is_taken = connection.execute(select(wanted)).scalar_one()
        if not is_taken:
            _end(connection)
            raise DatasetLockedError(_refusal(self._dataset))
        self._connection = connection
        _on_server[str(self._engine.url), self._dataset] = self

    def confirm(self) -> None:
        if self._connection is not None:
            try:
                self._connection.execute(select(1))
            except SQLAlchemyError:
                _end(self._connection)
                self._connection = None
        if self._connection is None:
            try:
                self.take()
            except DatasetLockedError as error:
                msg = f"the connection that kept others from dataset {self._dataset} was lost, and {error}"
                raise TransientError(msg) from error

    def release(self) -> None:
        _on_server.pop((str(self._engine.url), self._dataset), None)
        if self._connection is not None:
            # The server notices the end of a connection some time later: a run that starts now may not wait for that.
            with suppress(SQLAlchemyError):
                self._connection.execute(select(func.pg_advisory_unlock(LOCK_NAMESPACE, self._dataset)))
            _end(self._connection)


def _end(connection: Connection) -> None:
    """End a connection for good, and do not give it back to the pool: its locks go with it."""
    connection.invalidate()
    connection.close()


class _FileLock:
    """A lock on a file beside the SQLite database.

    A POSIX lock, which worker processes do not inherit: with ``flock`` a worker that outlives a
    killed run would keep the dataset locked. It does not hold against the own process, hence the set.
    """

    def __init__(self, engine: Engine, dataset_id: int) -> None:
        self._path = Path(f"{engine.url.database}.{dataset_id}.lock").absolute()
        self._dataset = dataset_id
        self._file: TextIO | None = None

    def take(self) -> None:
        with _held_guard:
            if self._path in _held:
                raise DatasetLockedError(_refusal(self._dataset, "this process"))
            _held.add(self._path)
        try:
            self._file = self._open()
            self._lock(self._file)
        except BaseException:
            self.release()
            raise

    def _open(self) -> TextIO:
        try:
            return self._path.open("a+", encoding="utf-8")
        except OSError as error:
            msg = f"cannot lock dataset {self._dataset}: {error}"
            raise DatabaseError(msg) from error

    def _lock(self, file: TextIO) -> None:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise DatasetLockedError(_refusal(self._dataset, file.read().strip())) from None
        with suppress(OSError):  # a full disk takes the name of the holder, not the lock
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()

    def release(self) -> None:
        if self._file is not None:
            with suppress(OSError):  # what could not be written to a full disk
                self._file.close()
        self._file = None
        with _held_guard:
            _held.discard(self._path)


def _refusal(dataset_id: int, holder: str = "") -> str:
    return f"another run is writing dataset {dataset_id}" + (f" ({holder})" if holder else "")


_held: set[Path] = set()
_held_guard = Lock()
_on_server: dict[tuple[str, int], _ServerLock] = {}
