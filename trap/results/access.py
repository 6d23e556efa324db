"""Access of a program to datasets of a database: each call reads one state of the database, and leaves nothing open."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakSet

from trap.db.datasets import dataset_names, find_dataset
from trap.db.reader import Reader
from trap.errors import DatabaseError, DatasetNotFoundError
from trap.images.patterns import path_text
from trap.results.positions import nearest_words, whole_number

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from trap.db.engine import Connection
    from trap.results.tables import Results

__all__ = ["Access", "choose_dataset"]


class Access:
    """Reading of a dataset.

    Parameters
    ----------
    reader
        Reader of the database.
    number
        Number of the dataset.
    """

    def __init__(self, reader: Reader, number: int) -> None:
        self._reader = reader
        self._is_closed = False
        self._streams: WeakSet[Generator[Results]] = WeakSet()
        self.number = number
        """Number of the dataset."""

    def __reduce__(self) -> tuple[Any, ...]:
        # For worker processes, each of which opens its own connections.
        return type(self), (self._reader, self.number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the use of the dataset, and of the chunks that are still being read. It need not be called.

        Every call closes its own connection; only an unfinished loop over chunks holds one.
        """
        self._is_closed = True
        for stream in list(self._streams):
            stream.close()

    @property
    def database(self) -> str:
        """URL of the database, without a password."""
        return str(self._reader)

    @property
    def _numbers(self) -> list[int]:
        """Numbers of the datasets whose rows are read."""
        return [self.number]

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        """Open a transaction that reads one state of the database; a dataset that was deleted is an error."""
        if self._is_closed:
            msg = f"dataset {self.number} of {self._reader} has been closed; open it again with open_dataset"
            raise DatabaseError(msg)
        with self._reader.read() as connection:
            for number in self._numbers:
                find_dataset(connection, number)
            yield connection

    def _about(self, **properties: Any) -> dict[str, Any]:  # noqa: ANN401 (values of the meta of a table)
        """Return the ``meta`` of a table of results."""
        return {"database": self.database, "dataset": self.number, **properties}


def open_reader(database: str | Path) -> Reader:
    """Open a database for reading.

    Parameters
    ----------
    database
        URL, or path of an SQLite file.

    Raises
    ------
    DatabaseError
        If the database does not exist, cannot be reached, or has another schema version.
    """
    given: Any = database
    if not isinstance(given, str | os.PathLike):
        msg = f"a database is a URL or the path of an SQLite file, got {given!r}"
        raise DatabaseError(msg)
    return Reader(path_text(os.path.expanduser(os.fspath(given))))  # noqa: PTH111 (a URL is no path)


def choose_dataset(connection: Connection, dataset: int | str | None) -> int:
    """Return the number of a dataset.

    Parameters
    ----------
    connection
        Connection in a transaction of the caller.
    dataset
        Number or name of the dataset; None for the only one of the database.

    Raises
    ------
    DatasetNotFoundError
        If there is no such dataset, or several; the message lists the datasets.
    """
    if dataset is not None and not isinstance(dataset, str):
        number = whole_number(dataset, "the number of a dataset", 1, 2**63 - 1)
        find_dataset(connection, number)
        return number
    names = dataset_names(connection)
    found = [number for number, name in names.items() if dataset in (None, name)]
    if len(found) == 1:
        return found[0]
    if not names:
        msg = "the database has no dataset; run the pipeline first"
    elif dataset is None:
        msg = f"the database has {len(names)} datasets: name one by its number; {_listed(names)}"
    elif found:
        msg = f"several datasets are named {dataset!r}: {', '.join(map(str, found))}; name one by its number"
    else:
        near = nearest_words(dataset, list(names.values()))
        msg = f"no dataset is named {dataset!r}{f'; similar names: {near}' if near else ''}; {_listed(names)}"
    raise DatasetNotFoundError(msg)


def _listed(names: dict[int, str]) -> str:
    """List datasets by number and name, at most twenty."""
    listed = [f"{number} {name!r}" for number, name in names.items()]
    more = [f"and {len(listed) - 20} more"] if len(listed) > 20 else []
    return "it holds " + ", ".join([*listed[:20], *more]) if listed else "it holds none"
