"""Rows of the tables of results: counted, read, and streamed in constant memory.

All commands, exports and the interface in Python read results here. The caller's transaction
(:func:`trap.db.engine.reading`) makes all chunks of a stream one state of the database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import func

from trap.association.noise_peaks import rank_candidates
from trap.db.coverage import COVERAGE, coverage_rows
from trap.db.rated_columns import RATINGS
from trap.db.result_columns import QUERIED, ResultTable
from trap.db.result_conditions import check_columns, conditions
from trap.db.result_rows import ImageLookup, joined, rows_of
from trap.errors import ConfigError
from trap.selection import Selection, nearest_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    from trap.db.result_columns import Query
    from trap.typing import Columns

__all__ = [
    "CHUNK",
    "RESULT_TABLES",
    "ResultTable",
    "count_rows",
    "find_table",
    "open_stream",
    "read_rows",
    "sorted_by",
    "stream_rows",
]

RESULT_TABLES: Mapping[str, ResultTable] = {**QUERIED, RATINGS.name: RATINGS, COVERAGE.name: COVERAGE}
"""All tables of results, by name."""
CHUNK = 20_000
"""Largest number of rows of a chunk."""


def find_table(name: str) -> ResultTable:
    """Return the table of a name.

    Raises
    ------
    ConfigError
        If there is none; with the nearest names.
    """
    if name not in RESULT_TABLES:
        msg = f"no table {name!r}{nearest_names(name, RESULT_TABLES)}"
        raise ConfigError(msg)
    return RESULT_TABLES[name]


def count_rows(connection: Connection, name: str, datasets: Sequence[int], selection: Selection) -> int:
    """Return the number of rows of a table that pass a selection.

    Parameters
    ----------
    connection
        Connection in a transaction of the caller.
    name
        Name of the table.
    datasets
        Numbers of the datasets.
    selection
        Filters.

    Raises
    ------
    ConfigError
        If there is no such table, or the selection does not fit it.
    """
    table = find_table(name)
    if table.query is None:
        return len(coverage_rows(connection, datasets, selection)["dataset"])
    query = table.query
    where = conditions(connection, table, datasets, selection)
    return int(connection.execute(joined(query, [func.count()], where)).scalar_one())


def read_rows(
    connection: Connection,
    name: str,
    datasets: Sequence[int],
    selection: Selection | None = None,
    *,
    columns: Sequence[str] | None = None,
    order: Sequence[str] = (),
    limit: int | None = None,
    offset: int = 0,
) -> Columns:
    """Return the rows of a table that pass a selection.

    Parameters
    ----------
    connection, name, datasets
        As for :func:`count_rows`.
    selection
        Filters; None selects all rows.
    columns
        Names of the columns; None returns all.
    order
        Names of columns, the first one first; a minus sign before a name sorts from high to low. Missing values are
        last. Without names, rows are in the order of :func:`stream_rows`.
    limit, offset
        Largest number of rows, and number of rows before the first one.

    Returns
    -------
    The columns in the order of the table: float64, with NaN for a missing value; int64, masked where a value is
    missing; bool; ``datetime64[us]`` in UTC; and objects of Python for text, empty if missing.

    Raises
    ------
    ConfigError
        If there is no such table or column, or the selection does not fit the table.
    """
    table, selection = find_table(name), selection or Selection()
    names = _names(table, columns)
    check_columns(table, [one.removeprefix("-") for one in order])
    if table.query is not None and (order or name != "transients"):
        where = conditions(connection, table, datasets, selection)
        sorting = [sorted_by(table, one) for one in order] or table.query.natural_order
        return rows_of(connection, table, names, where, sorting, limit=limit, offset=offset)
    if order:
        msg = f"table {name} has one order only, and cannot be sorted by {', '.join(order)}"
        raise ConfigError(msg)
    every = _whole(connection, table, datasets, selection)
    end = None if limit is None else offset + limit
    return {one: every[one][offset:end] for one in names}


def stream_rows(
    connection: Connection,
    name: str,
    datasets: Sequence[int],
    selection: Selection | None = None,
    *,
    columns: Sequence[str] | None = None,
    chunk: int = CHUNK,
) -> Iterator[Columns]:
    """Yield the rows of a table that pass a selection, in chunks: the memory does not depend on their number.

    Points of light curves come source by source, measurements image by image, sources and images in the order of their
    row numbers, and candidates from the highest score to the lowest. Within a source, points are in order of time, and
    then of frequency.

    Parameters
    ----------
    connection, name, datasets, selection, columns
        As for :func:`read_rows`.
    chunk
        Largest number of rows of a chunk.

    Yields
    ------
    Columns as :func:`read_rows` returns them, of at least one row.

    Raises
    ------
    ConfigError
        As for :func:`read_rows`.
    """
    yield from open_stream(connection, name, datasets, selection, columns=columns, chunk=chunk)[1]


def open_stream(
    connection: Connection,
    name: str,
    datasets: Sequence[int],
    selection: Selection | None = None,
    *,
    columns: Sequence[str] | None = None,
    chunk: int = CHUNK,
) -> tuple[int, Iterator[Columns]]:
    """Return the number of rows of a stream, and the chunks of :func:`stream_rows`.

    Parameters
    ----------
    connection, name, datasets, selection, columns, chunk
        As for :func:`stream_rows`.

    Returns
    -------
    n_rows
        Number of rows, which the division into chunks counts.
    chunks
        The chunks, which are read when they are needed.

    Raises
    ------
    ConfigError
        As for :func:`read_rows`.
    """
    table, selection = find_table(name), selection or Selection()
    names, query = _names(table, columns), table.query
    if query is None or name == "transients":
        rows = read_rows(connection, name, datasets, selection)
        return len(rows["dataset"]), _parts({one: rows[one] for one in names}, chunk)
    where = conditions(connection, table, datasets, selection)
    n_rows, ranges = _parents(connection, query, where, chunk)
    images = ImageLookup.of(connection, table, datasets, names)
    # The range of parents is the way into the tables: the index on datasets would read all entries for every chunk.
    of_datasets = (query.dataset + 0).in_([int(number) for number in datasets])

    def chunks() -> Iterator[Columns]:
        for first, last in ranges:
            inside = [query.fields[query.parent].between(first, last), *where[1:]]
            yield from _parts(images.rows(connection, inside, of_datasets=of_datasets), chunk)

    return n_rows, chunks()


def _whole(connection: Connection, table: ResultTable, datasets: Sequence[int], selection: Selection) -> Columns:
    """Return all columns of a table whose rows are computed, or ordered by a computed rank."""
    if table.query is None:
        return coverage_rows(connection, datasets, selection)
    where = conditions(connection, table, datasets, selection)
    if selection.near is None:
        # The few candidates are the way into the tables: the index on datasets would read all entries.
        where = [(table.query.dataset + 0).in_([int(number) for number in datasets]), *where[1:]]
    return _ranked(rows_of(connection, table, tuple(table.columns), where, table.query.natural_order))


def _parents(
    connection: Connection, query: Query, where: Sequence[ColumnElement[bool]], chunk: int
) -> tuple[int, list[tuple[int, int]]]:
    """Return the number of rows, and ranges of parents with about as many rows as a chunk has, in order."""
    number = query.fields[query.parent]
    counts = joined(query, [number, func.count()], where).group_by(number).order_by(number)
    ranges: list[tuple[int, int]] = []
    first, last, n_rows, total = None, 0, 0, 0
    with connection.execute(counts, execution_options={"yield_per": CHUNK}) as rows:
        for parent, n in rows:
            total += n
            if first is not None and n_rows + n > chunk:
                ranges.append((first, last))
                first, n_rows = None, 0
            first, last, n_rows = parent if first is None else first, parent, n_rows + n
    if first is not None:
        ranges.append((first, last))
    return total, ranges


def _parts(columns: Columns, chunk: int) -> Iterator[Columns]:
    """Yield the parts of a result that is longer than a chunk."""
    n = len(next(iter(columns.values())))
    for start in range(0, n, chunk):
        yield {name: values[start : start + chunk] for name, values in columns.items()}


def _names(table: ResultTable, columns: Sequence[str] | None) -> tuple[str, ...]:
    """Return the chosen columns in the order of the table."""
    if columns is None:
        return tuple(table.columns)
    check_columns(table, columns)
    return tuple(name for name in table.columns if name in set(columns))


def sorted_by(table: ResultTable, name: str) -> Any:  # noqa: ANN401 (a clause of SQLAlchemy)
    """Return the element that sorts by a column, missing values last.

    Parameters
    ----------
    table
        Table of results.
    name
        Name of the column; a minus sign before it sorts from high to low.

    Raises
    ------
    ConfigError
        If the column is computed.
    """
    field = None if table.query is None else table.query.fields.get(name.removeprefix("-"))
    if field is None:
        msg = f"table {table.name} cannot be sorted by {name.removeprefix('-')}, which is computed"
        raise ConfigError(msg)
    return (field.desc() if name.startswith("-") else field.asc()).nulls_last()


def _ranked(columns: Columns) -> Columns:
    """Return candidates in the order of their score, as ``transients candidates`` lists them."""
    grade = np.ma.filled(columns["grade"].astype(float), np.nan)
    order = rank_candidates(columns["score"], grade, columns["noise_peaks"], columns["newness"])
    return {name: values[order] for name, values in columns.items()}
