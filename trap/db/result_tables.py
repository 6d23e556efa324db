"""Rows of the tables of results: counted, read, and streamed in constant memory.

All commands, exports and the interface in Python read results here. The caller's transaction
(:func:`trap.db.engine.reading`) makes all chunks of a stream one state of the database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import Text, func, select, type_coerce
from sqlalchemy.sql import visitors

from trap.association.noise_peaks import rank_candidates
from trap.codes import stokes_letter
from trap.db.bulk import read_columns
from trap.db.coverage import COVERAGE, coverage_rows
from trap.db.result_columns import QUERIED, ResultTable
from trap.db.result_conditions import check_columns, conditions
from trap.errors import ConfigError
from trap.selection import Selection, nearest_names
from trap.vetting.score import named_signs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from sqlalchemy import ColumnElement, Connection, Select

    from trap.db.result_columns import Query
    from trap.typing import Columns

__all__ = ["RESULT_TABLES", "ResultTable", "count_rows", "find_table", "read_rows", "stream_rows"]

RESULT_TABLES: Mapping[str, ResultTable] = {**QUERIED, COVERAGE.name: COVERAGE}
"""All tables of results, by name."""
CHUNK = 50_000


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
    return int(connection.execute(_joined(query, [func.count()], where)).scalar_one())


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
        sorting = [_sorted_by(table, one) for one in order] or _natural_order(table.query)
        return _rows(connection, table, names, where, sorting, limit=limit, offset=offset)
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
    table, selection = find_table(name), selection or Selection()
    names, query = _names(table, columns), table.query
    if query is None or name == "transients":
        yield from _parts(read_rows(connection, name, datasets, selection, columns=names), chunk)
        return
    where = conditions(connection, table, datasets, selection)
    ranges = _parents(connection, query, where, chunk)
    # The range of parents is the way into the tables: the index on datasets would read all entries for every chunk.
    where[0] = (query.dataset + 0).in_([int(number) for number in datasets])
    for first, last in ranges:
        inside = [query.parent.between(first, last), *where]
        yield from _parts(_rows(connection, table, names, inside, _natural_order(query)), chunk)


def _whole(connection: Connection, table: ResultTable, datasets: Sequence[int], selection: Selection) -> Columns:
    """Return all columns of a table whose rows are computed, or ordered by a computed rank."""
    if table.query is None:
        return coverage_rows(connection, datasets, selection)
    where = conditions(connection, table, datasets, selection)
    return _ranked(_rows(connection, table, tuple(table.columns), where, _natural_order(table.query)))


def _parents(
    connection: Connection, query: Query, where: Sequence[ColumnElement[bool]], chunk: int
) -> list[tuple[int, int]]:
    """Return ranges of parents with about as many rows as a chunk has, in order."""
    counts = _joined(query, [query.parent, func.count()], where).group_by(query.parent).order_by(query.parent)
    ranges: list[tuple[int, int]] = []
    first, last, n_rows = None, 0, 0
    with connection.execute(counts, execution_options={"yield_per": CHUNK}) as rows:
        for parent, n in rows:
            if first is not None and n_rows + n > chunk:
                ranges.append((first, last))
                first, n_rows = None, 0
            first, last, n_rows = parent if first is None else first, parent, n_rows + n
    if first is not None:
        ranges.append((first, last))
    return ranges


def _parts(columns: Columns, chunk: int) -> Iterator[Columns]:
    """Yield the parts of a result that is longer than a chunk."""
    n = len(next(iter(columns.values())))
    for start in range(0, n, chunk):
        yield {name: values[start : start + chunk] for name, values in columns.items()}


def _query(table: ResultTable) -> Query:
    if table.query is None:
        msg = f"table {table.name} has no query"
        raise ValueError(msg)
    return table.query


def _names(table: ResultTable, columns: Sequence[str] | None) -> tuple[str, ...]:
    """Return the chosen columns in the order of the table."""
    if columns is None:
        return tuple(table.columns)
    check_columns(table, columns)
    return tuple(name for name in table.columns if name in set(columns))


def _natural_order(query: Query) -> list[Any]:
    return [query.parent, *query.order]


def _sorted_by(table: ResultTable, name: str) -> Any:  # noqa: ANN401 (a clause of SQLAlchemy)
    field = _query(table).fields.get(name.removeprefix("-"))
    if field is None:
        msg = f"table {table.name} cannot be sorted by {name.removeprefix('-')}, which is computed"
        raise ConfigError(msg)
    return (field.desc() if name.startswith("-") else field.asc()).nulls_last()


def _joined(query: Query, selected: Sequence[Any], where: Sequence[Any], order: Sequence[Any] = ()) -> Select[Any]:
    """Select from the joined tables; tables without a column in the statement are left out."""
    used = {table for clause in (*selected, *where, *order) for table in _tables(clause)}
    needed = []
    for join in reversed(query.joins):
        if join.model.__tablename__ in used:
            needed.append(join)
            used |= _tables(join.on)
    statement = select(*selected).select_from(query.root)
    for join in reversed(needed):
        statement = statement.join(join.model, join.on, isouter=join.is_outer)
    return statement.where(*where).order_by(*order)


def _tables(clause: Any) -> set[str]:  # noqa: ANN401 (a clause of SQLAlchemy)
    """Return the names of the tables whose columns a clause names."""
    tables = (getattr(element, "table", None) for element in visitors.iterate(clause))
    return {str(table.name) for table in tables if table is not None}


def _rows(
    connection: Connection,
    table: ResultTable,
    names: Sequence[str],
    where: Sequence[ColumnElement[bool]],
    order: Sequence[Any],
    *,
    limit: int | None = None,
    offset: int = 0,
) -> Columns:
    """Read rows; text, missing values and Stokes parameters get the form of :func:`read_rows`."""
    query = _query(table)
    is_sqlite = connection.dialect.name == "sqlite"
    # Times of SQLite are read as text, which numpy converts at once.
    selected = [
        (type_coerce(field, Text) if is_sqlite and table.columns[name].dtype.kind == "M" else field).label(name)
        for name, field in query.fields.items()
        if name in names or "signs" in names
    ]
    rows = _joined(query, selected, where, order).limit(limit).offset(offset or None)
    found = read_columns(connection, rows)
    columns = {name: _column(name, values, table) for name, values in found.items()}
    if "signs" in names:
        columns["signs"] = np.array(named_signs(found), object)
    return {name: columns[name] for name in names}


def _column(name: str, values: NDArray[Any], table: ResultTable) -> NDArray[Any]:
    """Convert the values of a query: see :func:`read_rows`."""
    kind = table.columns[name].dtype.kind
    if name.endswith("stokes"):
        letters = {code: "" if code is None else stokes_letter(code) for code in set(values.tolist())}
        return np.array([letters[code] for code in values.tolist()], object)
    if kind == "M" and values.dtype == object:
        return np.array(["NaT" if value is None else value for value in values], "M8[us]")
    if kind == "O":
        return np.array(["" if value is None else value for value in values], object)
    if name in table.nullable:
        mask = [value is None for value in values] if values.dtype == object else np.zeros(len(values), bool)
        return np.ma.MaskedArray(np.where(mask, 0, values).astype(np.int64), mask)
    return values


def _ranked(columns: Columns) -> Columns:
    """Return candidates in the order of their score, as ``transients candidates`` lists them."""
    grade = np.ma.filled(columns["grade"].astype(float), np.nan)
    order = rank_candidates(columns["score"], grade, columns["noise_peaks"], columns["newness"])
    return {name: values[order] for name, values in columns.items()}
