"""Pages of the tables of results: a few rows of many, sorted and counted within the time of a reader.

The database sorts narrow rows, and reads the columns of one page only: a tenth of the time of sorting whole rows.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import Double, Float, and_, case, false, func, literal, or_, select, true

from trap.db.bulk import is_among
from trap.db.models import Image, RunningCatalog, Timestep, VarMetric
from trap.db.patience import limited_time
from trap.db.result_columns import QUERIED, Join
from trap.db.result_conditions import check_columns, check_range, conditions
from trap.db.result_rows import joined, rows_of
from trap.db.result_tables import find_table, read_rows, sorted_by
from trap.errors import ConfigError, TooSlowError
from trap.selection import SHORT_NAMES, Selection

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    from trap.db.result_columns import Query, ResultTable
    from trap.typing import Columns

__all__ = ["MAX_COUNTED", "MAX_REACH", "MAX_SORTED", "ResultPage", "read_page"]

MAX_COUNTED = 1_000_000
"""Largest number of rows that are counted."""
MAX_SORTED = 700_000
"""Largest number of rows that are sorted: the sources of a large survey, but not its measurements."""
MAX_REACH = 100_000
"""Number of rows up to which any page can be reached; of more rows, pages reach a tenth of it."""
COUNT_SECONDS = 0.2
"""s — time for a count, which a page shows but does not need."""
MAX_COUNTED_SOURCES = 300_000
"""Largest number of measurements whose number in each image is counted to sort images by it."""
OF_IMAGES = ("image", "tau_time", "freq_eff", "freq_central", "band")
"""Columns of measurements that are columns of their images, whose ranges select images."""
READ_SECONDS = 20.0
"""s — time for the rows of a page."""
KEYS = {"sources": "runcat", "measurements": "xtrsrc", "images": "image", "transients": "newsource"}
"""Columns that are different in all rows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResultPage:
    """Rows of a page, and their place among all selected ones.

    Parameters
    ----------
    rows
        Columns, as :func:`trap.db.result_tables.read_rows` returns them.
    n_rows
        Number of all selected rows; None if they are more than :data:`MAX_COUNTED` sources or a tenth as many others,
        or if their count takes too long.
    reach
        Number of rows that pages can reach.
    unsortable
        Columns by which so many rows cannot be sorted in the time of a page.
    without_value
        Number of rows that have no value in a column of a range, and pass all other filters, by name of the column;
        None if it is not counted. Ranges leave such rows out.
    """

    rows: Columns
    n_rows: int | None
    reach: int
    unsortable: frozenset[str]
    without_value: Mapping[str, int | None] = field(default_factory=dict)


def read_page(
    connection: Connection,
    name: str,
    datasets: Sequence[int],
    selection: Selection,
    *,
    columns: Sequence[str] | None = None,
    order: Sequence[str] = (),
    offset: int = 0,
    limit: int = 50,
) -> ResultPage:
    """Return a page of the rows of a table that pass a selection.

    Parameters
    ----------
    connection, name, datasets, selection, columns, order, offset, limit
        As for :func:`trap.db.result_tables.read_rows`; the table has a query.

    Raises
    ------
    ConfigError
        If there is no such table or column, the selection does not fit the table, the page is beyond the reach, or
        there are too many rows to sort by a column.
    TooSlowError
        If the rows were not found in time.
    """
    table = find_table(name)
    names = table.columns if columns is None else columns
    check_columns(table, [*names, *(one.removeprefix("-") for one in order)])
    where = _where(connection, table, datasets, selection)
    n_rows, without_value = _counts(connection, table, datasets, selection, where)
    unsortable = _unsortable(connection, table, datasets, n_rows)
    for column in (one.removeprefix("-") for one in order):
        if column in unsortable:
            msg = f"these rows are too many to sort by {column}; narrow the selection"
            raise ConfigError(msg)
    reach = MAX_REACH if n_rows is not None and n_rows <= MAX_REACH else MAX_REACH // 10
    if offset and offset + limit > max(reach, limit):
        msg = f"pages reach the first {reach:,} rows; reverse the order, narrow the selection, or download all rows"
        raise ConfigError(msg)
    with limited_time(connection, READ_SECONDS):
        if name == "transients" and not order:  # their score ranks them, which SQL does not
            rows = read_rows(connection, name, datasets, selection, columns=columns, limit=limit, offset=offset)
        else:
            rows = _rows(connection, table, selection, where, columns=list(names), order=order, part=(offset, limit))
    return ResultPage(rows=rows, n_rows=n_rows, reach=reach, unsortable=unsortable, without_value=without_value)


def _where(
    connection: Connection, table: ResultTable, datasets: Sequence[int], selection: Selection
) -> list[ColumnElement[bool]]:
    """Return the conditions of a page; without a cone, rows are found by their numbers, which are in order already."""
    query = _query(table)
    where = conditions(connection, table, datasets, selection)
    if selection.near is not None:
        return where
    # The sum keeps the database from the index of the dataset, whose order is another one.
    found = [(query.dataset + 0).in_([int(number) for number in datasets]), *where[1:]]
    if query.parent != "image":
        return found
    ranges = tuple(one for one in selection.ranges if one.column in OF_IMAGES)
    of_images = Selection(
        ranges=ranges,
        bands=selection.bands,
        stokes=selection.stokes,
        since=selection.since,
        until=selection.until,
    )
    own = conditions(connection, QUERIED["images"], datasets, of_images)
    ends = joined(_query(QUERIED["images"]), [func.min(Image.id), func.max(Image.id)], own)
    first, last = connection.execute(ends).one()
    if first is None:
        return [false()]
    # The narrowest range of images is the way into their rows: it stands for the ranges of the column itself.
    rest = replace(selection, ranges=tuple(one for one in selection.ranges if one.column != "image"))
    others = conditions(connection, table, datasets, rest)[1:]
    return [found[0], query.fields["image"].between(first, last), *others]


def _counts(
    connection: Connection,
    table: ResultTable,
    datasets: Sequence[int],
    selection: Selection,
    where: Sequence[ColumnElement[bool]],
) -> tuple[int | None, dict[str, int | None]]:
    """Return the number of rows, and for each range the number of rows without a value; None if they take too long."""
    names = list(dict.fromkeys(check_range(table, one)[0] for one in selection.ranges))
    if selection == Selection():  # an index of the dataset has all that is counted
        where = conditions(connection, table, datasets, selection)
    source = _metrics_first(table) if _is_of_metrics(table, selection, names) else table
    most = MAX_COUNTED if table.name == "sources" else MAX_COUNTED // 10
    inside = joined(_query(source), [literal(1)], where).limit(most + 1).subquery()
    # Columns of images have no missing values.
    nullable = [name for name in names if name not in OF_IMAGES or table.name not in ("measurements", "lightcurves")]
    n_rows, without = None, dict[str, int | None](dict.fromkeys(nullable))
    with suppress(TooSlowError):
        with limited_time(connection, COUNT_SECONDS):
            n_rows = int(connection.execute(select(func.count()).select_from(inside)).scalar_one())
        if nullable:
            with limited_time(connection, COUNT_SECONDS):
                without |= _without_value(connection, table, datasets, selection, nullable)
    return (n_rows if n_rows is not None and n_rows <= most else None), without


def _without_value(
    connection: Connection, table: ResultTable, datasets: Sequence[int], selection: Selection, names: Sequence[str]
) -> dict[str, int]:
    """Count the rows without a value of a range, in one look at the rows that pass all other filters."""
    query = _query(table)
    kept = tuple(one for one in selection.ranges if SHORT_NAMES.get(one.column, one.column) not in names)
    others = _where(connection, table, datasets, replace(selection, ranges=kept))
    passed = {one: _in(connection, table, datasets, selection, one) for one in names}
    counted = []
    for name in names:
        others_passed = [condition for one, condition in passed.items() if one != name]
        counted.append(func.sum(case((and_(_has_no_value(connection, query, name), *others_passed), 1), else_=0)))
    numbers = connection.execute(joined(query, counted, others)).one()
    return {name: int(n or 0) for name, n in zip(names, numbers, strict=True)}


def _is_of_metrics(table: ResultTable, selection: Selection, names: Sequence[str]) -> bool:
    """Return whether the rows of sources are found fastest by their metrics."""
    query = _query(table)
    is_whole_sky = selection.near is None and selection.entries is None and not selection.candidates_only
    is_whole_sky &= not (selection.ratings or selection.tags)
    return (
        table.name == "sources"
        and is_whole_sky
        and any(getattr(query.fields.get(name), "class_", None) is VarMetric for name in names)
    )


def _metrics_first(table: ResultTable) -> ResultTable:
    """Return the table of sources with metrics, which leads from a metric to its entry.

    The sum keeps SQLite from the way back, which looks up the metrics of each entry in turn and takes five times as
    long.
    """
    query = _query(table)
    others = [join for join in query.joins if join.model is not VarMetric]
    entry = Join(model=RunningCatalog, on=RunningCatalog.id == VarMetric.runcat + 0)
    return replace(table, query=replace(query, root=VarMetric, joins=(entry, *others)))


def _in(
    connection: Connection, table: ResultTable, datasets: Sequence[int], selection: Selection, name: str
) -> ColumnElement[bool]:
    """Return the condition of all ranges of a column."""
    ranges = tuple(one for one in selection.ranges if SHORT_NAMES.get(one.column, one.column) == name)
    return and_(true(), *conditions(connection, table, datasets, Selection(ranges=ranges))[1:])


def _has_no_value(connection: Connection, query: Query, name: str) -> ColumnElement[bool]:
    """Return the condition of a missing value: NULL, and on PostgreSQL also NaN."""
    element = query.fields[name]
    missing: ColumnElement[bool] = element.is_(None)
    if connection.dialect.name == "postgresql" and isinstance(element.type, Float | Double):
        missing = or_(missing, element == literal(math.nan))
    return missing


def _unsortable(
    connection: Connection, table: ResultTable, datasets: Sequence[int], n_rows: int | None
) -> frozenset[str]:
    """Return the columns by which the rows cannot be sorted in time."""
    if table.name == "images":
        is_long = _n_measurements(connection, datasets) > MAX_COUNTED_SOURCES
        return frozenset({"n_sources"} if is_long else ())
    if n_rows is not None or table.name not in ("measurements", "lightcurves"):
        return frozenset()
    return frozenset(table.columns if _n_measurements(connection, datasets) > MAX_SORTED else ())


def _n_measurements(connection: Connection, datasets: Sequence[int]) -> int:
    """Return the number of measurements of datasets, as their timesteps have counted them."""
    numbers = func.sum(Timestep.n_measured + Timestep.n_forced_measured)
    rows = select(numbers).where(Timestep.dataset.in_([int(number) for number in datasets]))
    return int(connection.execute(rows).scalar() or 0)


def _rows(
    connection: Connection,
    table: ResultTable,
    selection: Selection,
    where: Sequence[ColumnElement[bool]],
    *,
    columns: Sequence[str],
    order: Sequence[str],
    part: tuple[int, int],
) -> Columns:
    """Return the rows of a page: first their keys are sorted, then the columns of a few rows are read."""
    query, (offset, limit) = _query(table), part
    sorting = [*(sorted_by(table, one) for one in order), *query.natural_order]
    key = KEYS.get(table.name)
    if key is None:
        return rows_of(connection, table, columns, where, sorting, limit=limit, offset=offset)
    ranges = [check_range(table, one)[0] for one in selection.ranges]
    keys = np.empty(0, np.int64)
    if _is_of_metrics(table, selection, [*ranges, *(one.removeprefix("-") for one in order[:1])]):
        keys = rows_of(connection, _metrics_first(table), [key], where, sorting, limit=limit, offset=offset)[key]
    if len(keys) < limit and not _is_of_metrics(table, selection, ranges):  # rows without metrics are the last ones
        keys = rows_of(connection, table, [key], where, sorting, limit=limit, offset=offset)[key]
    chosen = is_among(connection, query.fields[key], keys)
    rows = rows_of(connection, table, [*columns, key], [chosen], [])
    places = {number: place for place, number in enumerate(keys.tolist())}
    order_of_page = np.argsort([places[number] for number in rows[key].tolist()])
    return {name: values[order_of_page] for name, values in rows.items() if name in columns}


def _query(table: ResultTable) -> Query:
    if table.query is None:
        msg = f"table {table.name} is computed from the searched areas, and has no pages; 'transients export' writes it"
        raise ConfigError(msg)
    return table.query
