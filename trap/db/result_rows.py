"""Rows of a result table as columns: the statement, the types of the values, and columns of images from memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import Text, select, type_coerce
from sqlalchemy.sql import visitors

from trap.codes import stokes_letter
from trap.db.bulk import read_columns
from trap.db.models import FrequencyBand, Image
from trap.db.result_columns import QUERIED
from trap.vetting.score import named_signs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from sqlalchemy import ColumnElement, Connection, Select

    from trap.db.result_columns import Query, ResultTable
    from trap.typing import Columns

__all__ = ["ImageLookup", "joined", "rows_of"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageLookup:
    """The columns of images for rows of measurements.

    A survey has a thousand times more measurements than images. Looked up in memory, the columns of images need no
    join for each measurement, which halves the time of reading.

    Parameters
    ----------
    table
        Table whose rows are read.
    names
        Columns that are read.
    images
        (n,) values of the columns of images by name, in the order of ``image``, with Stokes parameters as numbers;
        None for a table whose rows are not measurements.
    """

    table: ResultTable
    names: Sequence[str]
    images: Columns | None

    @classmethod
    def of(
        cls, connection: Connection, table: ResultTable, datasets: Sequence[int], names: Sequence[str]
    ) -> ImageLookup:
        """Read the columns of the images of some datasets, if the rows of a table are measurements.

        Parameters
        ----------
        connection, table
            Connection in a transaction of the caller, and table with a query.
        datasets
            Numbers of the datasets.
        names
            Columns that are read from the table.
        """
        if table.name not in ("measurements", "lightcurves"):
            return cls(table=table, names=names, images=None)
        images, query = QUERIED["images"], _query(table)
        wanted = {*names, *query.order}
        of_images = [name for name in _of_images(query) if name in wanted]
        where = [Image.dataset.in_([int(number) for number in datasets])]
        return cls(
            table=table, names=names, images=_values(connection, images, ["image", *of_images], where, [Image.id])
        )

    def rows(
        self, connection: Connection, where: Sequence[ColumnElement[bool]], *, of_datasets: ColumnElement[bool]
    ) -> Columns:
        """Read rows in their natural order.

        Parameters
        ----------
        connection
            Connection in a transaction of the caller.
        where
            Conditions, of which one is a range of parents: the way into the tables.
        of_datasets
            Condition of the datasets.
        """
        query = _query(self.table)
        if self.images is None:
            return rows_of(connection, self.table, self.names, [*where, of_datasets], query.natural_order)
        wanted = ["image", query.parent, *query.order, *self.names]
        own = [name for name in query.fields if (name in wanted and name not in self.images) or name == "image"]
        found = _values(connection, self.table, own, where, [])
        known = self.images["image"]
        place = np.minimum(np.searchsorted(known, found["image"]), max(len(known) - 1, 0))
        keep = known[place] == found["image"] if len(known) else np.zeros(len(found["image"]), bool)
        every = {name: values[keep] for name, values in found.items()}
        every |= {name: values[place[keep]] for name, values in self.images.items() if name != "image"}
        order = np.lexsort([every[name] for name in reversed((query.parent, *query.order))])
        return {
            name: _converted(name, every[name][order], self.table) for name in self.table.columns if name in self.names
        }


def _of_images(query: Query) -> list[str]:
    """Return the fields of a query of measurements that are columns of the image."""
    tables = {Image.__tablename__, FrequencyBand.__tablename__}
    return [name for name, field in query.fields.items() if name == "dataset" or _tables(field) & tables]


def _query(table: ResultTable) -> Query:
    if table.query is None:
        msg = f"table {table.name} has no query"
        raise ValueError(msg)
    return table.query


def _values(
    connection: Connection,
    table: ResultTable,
    names: Sequence[str],
    where: Sequence[ColumnElement[bool]],
    order: Sequence[Any],
    *,
    limit: int | None = None,
    offset: int = 0,
) -> dict[str, NDArray[Any]]:
    """Read columns of a query; times are times, and all other values are as the database returns them."""
    query = _query(table)
    is_sqlite = connection.dialect.name == "sqlite"
    # Times of SQLite are read as text, which numpy converts at once.
    selected = [
        (type_coerce(field, Text) if is_sqlite and table.columns[name].dtype.kind == "M" else field).label(name)
        for name, field in query.fields.items()
        if name in names
    ]
    found = read_columns(connection, joined(query, selected, where, order).limit(limit).offset(offset or None))
    return {name: _time(values) if table.columns[name].dtype.kind == "M" else values for name, values in found.items()}


def _time(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype != object:
        return values
    return np.array(["NaT" if value is None else value for value in values], "M8[us]")


def joined(query: Query, selected: Sequence[Any], where: Sequence[Any], order: Sequence[Any] = ()) -> Select[Any]:
    """Select from the joined tables; tables without a column in the statement are left out.

    Parameters
    ----------
    query
        Query of a result table.
    selected, where, order
        Selected elements, conditions, and elements that order the rows.
    """
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


def rows_of(
    connection: Connection,
    table: ResultTable,
    names: Sequence[str],
    where: Sequence[ColumnElement[bool]],
    order: Sequence[Any],
    *,
    limit: int | None = None,
    offset: int = 0,
) -> Columns:
    """Read rows; text, missing values and Stokes parameters get the form of :func:`trap.db.result_tables.read_rows`.

    Parameters
    ----------
    connection, table
        Connection in a transaction of the caller, and table with a query.
    names
        Columns to read.
    where, order
        Conditions, and elements that order the rows.
    limit, offset
        Largest number of rows, and number of rows before the first one.

    Raises
    ------
    ValueError
        If the table has no query.
    """
    read = list(table.columns) if "signs" in names else names
    found = _values(connection, table, read, where, order, limit=limit, offset=offset)
    columns = {name: _converted(name, values, table) for name, values in found.items()}
    if "signs" in names:
        columns["signs"] = np.array(named_signs(found), object)
    return {name: columns[name] for name in names}


def _converted(name: str, values: NDArray[Any], table: ResultTable) -> NDArray[Any]:
    """Convert the values of a query: see :func:`trap.db.result_tables.read_rows`."""
    kind = table.columns[name].dtype.kind
    if name.endswith("stokes"):
        letters = {code: "" if code is None else stokes_letter(code) for code in set(values.tolist())}
        return np.array([letters[code] for code in values.tolist()], object)
    if kind == "O":
        return np.array(["" if value is None else value for value in values], object)
    if name in table.nullable:
        mask = [value is None for value in values] if values.dtype == object else np.zeros(len(values), bool)
        return np.ma.MaskedArray(np.where(mask, 0, values).astype(np.int64), mask)
    return values
