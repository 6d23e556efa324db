"""One writer a dataset: a second run on the same dataset is refused at once.

The lock dies with its holder, however that dies, so that nobody ever has to remove one by hand.
Runs on different datasets of one database do not hinder each other, nor do readers.
"""

from __future__ import annotations

import fcntl
import os
import socket
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from trap.db.engine import database_errors
from trap.errors import DatasetLockedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

__all__ = ["writing"]

LOCK_NAMESPACE = 0x74726170  # "trap", so as not to meet the advisory locks of others

_held: set[Path] = set()
_held_guard = Lock()


@contextmanager
def writing(engine: Engine, dataset_id: int) -> Iterator[None]:
    """Be the only writer of a dataset.

    Raises
    ------
    DatasetLockedError
        If another run is writing it, in this process or in any other.
    """
    locked = _file_lock if engine.dialect.name == "sqlite" else _advisory_lock
    with locked(engine, dataset_id):
        yield


@contextmanager
def _advisory_lock(engine: Engine, dataset_id: int) -> Iterator[None]:
    """Hold a lock of the PostgreSQL server, which belongs to a connection of its own."""
    with database_errors():
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        taken = connection.execute(select(func.pg_try_advisory_lock(LOCK_NAMESPACE, dataset_id))).scalar_one()
    try:
        if not taken:
            raise DatasetLockedError(_refusal(dataset_id))
        yield
    finally:
        # Ended and not given back to the pool: the lock goes with the connection.
        connection.invalidate()
        connection.close()


@contextmanager
def _file_lock(engine: Engine, dataset_id: int) -> Iterator[None]:
    """Hold a lock on a file beside the SQLite database.

    A POSIX lock, which worker processes do not inherit: with ``flock`` a worker that outlives a
    killed run would keep the dataset locked. It does not hold against the own process, hence the set.
    """
    path = Path(f"{engine.url.database}.{dataset_id}.lock").absolute()
    with _held_guard:
        if path in _held:
            raise DatasetLockedError(_refusal(dataset_id, "this process"))
        _held.add(path)
    try:
        with path.open("a+", encoding="utf-8") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                raise DatasetLockedError(_refusal(dataset_id, file.read().strip())) from None
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            yield
    finally:
        with _held_guard:
            _held.discard(path)


def _refusal(dataset_id: int, holder: str = "") -> str:
    return f"another run is writing dataset {dataset_id}" + (f" ({holder})" if holder else "")
