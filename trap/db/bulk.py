"""Many rows in one statement: storing a thousand sources takes as many statements as storing one.

Rows are passed as columns, the way they lie in memory. PostgreSQL reads and writes them by ``COPY``, with a temporary
table for rows that change others; SQLite by the driver's ``executemany``. Floats are preserved to the last bit. NaN
stays NaN on PostgreSQL, unless it is converted to NULL; SQLite has no NaN and stores NULL.
"""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
from sqlalchemy import ARRAY, BigInteger, Table, any_, case, cast, column, func, select
from sqlalchemy.sql.elements import Cast, Label

from trap.db.binary_copy import Rows, binary_rows, is_readable
from trap.db.types import UtcDateTime, as_sqlite_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray
    from sqlalchemy import ColumnElement, Connection, Select
    from sqlalchemy.orm import InstrumentedAttribute
    from sqlalchemy.sql.selectable import Subquery

    from trap.db.models import Base
    from trap.typing import Ids

    Values = Sequence[Any] | NDArray[Any]

__all__ = [
    "given_pairs",
    "insert_columns",
    "is_among",
    "nullable",
    "read_columns",
    "reserve_ids",
    "update_columns",
    "upsert_columns",
]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
NOT_A_TIME = int(np.iinfo(np.int64).min)
"""Integer value of numpy's NaT."""


def reserve_ids(connection: Connection, model: type[Base], n: int) -> NDArray[np.int64]:
    """Reserve row numbers of a table, so that rows can refer to each other before they are inserted.

    On SQLite the reservation ends with the transaction, which holds the write lock.

    Parameters
    ----------
    connection, model
        Connection in a transaction of the caller, and table.
    n
        Number of row numbers.

    Returns
    -------
    (n,) — increasing row numbers.
    """
    if n == 0:
        return np.empty(0, np.int64)
    table = _table(model)
    if connection.dialect.name == "sqlite":
        highest = connection.execute(select(func.coalesce(func.max(table.c.id), 0))).scalar_one()
        return np.arange(highest + 1, highest + 1 + n, dtype=np.int64)
    sequence = func.pg_get_serial_sequence(table.name, "id")
    drawn = select(func.nextval(sequence).label("id")).select_from(func.generate_series(1, n)).subquery()
    first, last = func.min(drawn.c.id), func.max(drawn.c.id)
    # The numbers have gaps only if another connection draws at the same time; only then are they listed.
    listed = case((last - first + 1 != n, func.array_agg(drawn.c.id)))
    lowest, highest, scattered = connection.execute(select(first, last, listed)).one()
    return np.arange(lowest, highest + 1) if scattered is None else np.sort(np.array(scattered, np.int64))


def insert_columns(connection: Connection, model: type[Base], columns: Mapping[str, Any]) -> None:
    """Insert rows.

    Parameters
    ----------
    connection, model
        Connection in a transaction of the caller, and table.
    columns
        Each of length n, or one value for all rows; at least one of length n. Missing columns get the default of the
        database. None is NULL; times are aware datetimes or numpy times in UTC.
    """
    filled = _filled(columns)
    if not _n_rows(filled):
        return
    table = _table(model)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(_insertion(table, filled), _sqlite_rows(table, filled))
    else:
        _copy(connection, table, filled)


def update_columns(connection: Connection, model: type[Base], columns: Mapping[str, Any]) -> None:
    """Update some columns of the rows named by column ``id``.

    Parameters
    ----------
    connection, model
        Connection in a transaction of the caller, and table.
    columns
        As for :func:`insert_columns`, with ``id``.
    """
    filled = _filled(columns)
    if not _n_rows(filled):
        return
    table = _table(model)
    changed = [name for name in filled if name != "id"]
    if connection.dialect.name == "sqlite":
        new = ", ".join(f'"{name}" = ?' for name in changed)
        rows = _sqlite_rows(table, {name: filled[name] for name in [*changed, "id"]})
        connection.exec_driver_sql(f'UPDATE "{table.name}" SET {new} WHERE id = ?', rows)
    else:
        staged = _stage(connection, table, filled)
        new = ", ".join(f'"{name}" = {staged}."{name}"' for name in changed)
        connection.exec_driver_sql(
            f'UPDATE "{table.name}" SET {new} FROM {staged} WHERE "{table.name}".id = {staged}.id'
        )


def upsert_columns(
    connection: Connection, model: type[Base], columns: Mapping[str, Any], *, key: Sequence[str]
) -> None:
    """Insert rows, or update existing rows with the same key.

    Parameters
    ----------
    connection, model
        Connection in a transaction of the caller, and table.
    columns
        As for :func:`insert_columns`; keys must be unique among the rows.
    key
        Columns of a unique constraint that identify a row.
    """
    filled = _filled(columns)
    if not _n_rows(filled):
        return
    table = _table(model)
    new = ", ".join(f'"{name}" = excluded."{name}"' for name in filled if name not in key)
    otherwise = f"ON CONFLICT ({_listed(key)}) DO UPDATE SET {new}"
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"{_insertion(table, filled)} {otherwise}", _sqlite_rows(table, filled))
    else:
        staged, names = _stage(connection, table, filled), _listed(filled)
        connection.exec_driver_sql(f'INSERT INTO "{table.name}" ({names}) SELECT {names} FROM {staged} {otherwise}')


def read_columns(connection: Connection, rows: Select[Any]) -> dict[str, NDArray[Any]]:
    """Return the result of a query as columns by name.

    Parameters
    ----------
    connection, rows
        Connection in a transaction of the caller, and query.

    Returns
    -------
    float64, with NaN for NULL; int64, bool, or ``datetime64[us]`` in UTC; object for text, and for integers if some are
    NULL.
    """
    types = {name: selected.type for name, selected in rows.selected_columns.items()}
    if connection.dialect.name == "postgresql" and all(map(_is_stored, rows.selected_columns)):
        copied = Rows()
        connection.execute(rows, execution_options={"trap_copy_to": copied, "yield_per": None, "stream_results": False})
        return copied.columns(types)
    result = connection.execute(rows, execution_options={"yield_per": None, "stream_results": False})
    # SQLAlchemy would make an object of each row, which takes longer than reading it from SQLite.
    is_sqlite = connection.dialect.name == "sqlite"
    listed: Sequence[Any] = result.cursor.fetchall() if is_sqlite and result.cursor is not None else result.all()
    result.close()
    values = list(zip(*listed, strict=True)) or [()] * len(types)
    return {name: _as_array(column, types[name].python_type) for name, column in zip(types, values, strict=True)}


def is_among(
    connection: Connection, attribute: InstrumentedAttribute[Any], values: Sequence[int] | Ids | Sequence[str]
) -> ColumnElement[bool]:
    """Return the condition that a column has one of many values.

    The values are bound as one parameter, since the databases limit the number of parameters and not their length.

    Parameters
    ----------
    connection, attribute
        Connection in a transaction of the caller, and column.
    values
        Any number of values.
    """
    listed = _python_values(values)
    if connection.dialect.name == "sqlite":
        rows = func.json_each(json.dumps(listed)).table_valued("value")
        return attribute.in_(select(rows.c.value))
    return attribute == any_(cast(listed, ARRAY(attribute.type)))


def nullable(values: NDArray[Any]) -> NDArray[Any]:
    """Return values with None in place of NaN.

    NaN would be a number to PostgreSQL, larger than all others.
    """
    if not np.isnan(values).any():
        return values
    listed = values.astype(object)
    listed[np.isnan(values)] = None
    return listed


def given_pairs(connection: Connection, first: Sequence[int] | Ids, second: Sequence[int] | Ids) -> Subquery:
    """Return a subquery of pairs of ids, for joins with other tables.

    Parameters
    ----------
    connection
        Open connection; the caller owns the transaction.
    first, second
        (n,) — ids.

    Returns
    -------
    A subquery with columns ``first`` and ``second``.
    """
    pairs = [(int(a), int(b)) for a, b in zip(first, second, strict=True)]
    if connection.dialect.name == "sqlite":
        listed = func.json_each(json.dumps(pairs)).table_valued("value")
        columns: list[ColumnElement[Any]] = [func.json_extract(listed.c.value, f"$[{i}]") for i in range(2)]
    else:
        arrays = [cast([pair[i] for pair in pairs], ARRAY(BigInteger)) for i in range(2)]
        unnested = func.unnest(*arrays).table_valued(column("first", BigInteger), column("second", BigInteger))
        columns = [*unnested.render_derived().c]
    return select(columns[0].label("first"), columns[1].label("second")).subquery()


def _table(model: type[Base]) -> Table:
    table: Table = model.metadata.tables[model.__tablename__]
    return table


def _filled(columns: Mapping[str, Any]) -> dict[str, Values]:
    """Expand single values to columns; all columns get the same length."""
    lengths = {name: len(values) for name, values in columns.items() if _is_column(values)}
    if len(set(lengths.values())) != 1:
        msg = f"columns must have one length, got {lengths}"
        raise ValueError(msg)
    (n,) = set(lengths.values())
    return {name: values if name in lengths else [values] * n for name, values in columns.items()}


def _is_column(values: Any) -> bool:  # noqa: ANN401 (a column or a single value)
    return not isinstance(values, str | bytes) and np.ndim(values) > 0


def _python_values(values: Any) -> list[Any]:  # noqa: ANN401 (an array or a sequence)
    """Convert a column to Python objects; times become aware datetimes in UTC."""
    if not isinstance(values, np.ndarray):
        return [value.item() if isinstance(value, np.generic) else value for value in values]
    if values.dtype.kind != "M":
        listed: list[Any] = values.tolist()
        return listed
    moments = values.astype("M8[us]").tolist()
    return [None if moment is None else moment.replace(tzinfo=UTC) for moment in moments]


def _as_array(values: Sequence[Any], kind: type) -> NDArray[Any]:
    """Convert the values of a result column to an array."""
    if kind is datetime:
        if isinstance(next(filter(None, values), None), str):  # as SQLite stores it
            return np.array(["NaT" if value is None else value for value in values], "M8[us]")
        return np.array([_microseconds(value) for value in values], np.int64).view("M8[us]")
    dtype: Any = {float: np.float64, bool: np.bool_, int: np.int64}.get(kind, object)
    if dtype is np.int64 and None in values:
        dtype = object
    return np.array(values, dtype)


def _microseconds(moment: datetime | None) -> int:
    """Return microseconds since 1970, in a tenth of the time of numpy's own conversion."""
    if moment is None:
        return NOT_A_TIME
    return (moment - EPOCH) // MICROSECOND


def _is_stored(selected: ColumnElement[Any]) -> bool:
    """Return whether a selected element has a known binary format: a table column, or a value cast to a type.

    The format of another computed element is known to PostgreSQL alone.
    """
    element = selected.element if isinstance(selected, Label) else selected
    if isinstance(element, Cast):
        return is_readable(element.type)
    return isinstance(getattr(element, "table", None), Table) and is_readable(element.type)


def _n_rows(columns: Mapping[str, Values]) -> int:
    return len(next(iter(columns.values())))


def _insertion(table: Table, columns: Mapping[str, Values]) -> str:
    marks = ", ".join("?" * len(columns))
    return f'INSERT INTO "{table.name}" ({_listed(columns)}) VALUES ({marks})'


def _sqlite_rows(table: Table, columns: Mapping[str, Values]) -> list[tuple[Any, ...]]:
    """Convert columns to rows of values for SQLite.

    SQLAlchemy would convert each value by itself, at three times the cost.
    """
    lists = []
    for name, values in columns.items():
        listed = _python_values(values)
        if isinstance(table.c[name].type, UtcDateTime):
            listed = [None if value is None else as_sqlite_text(value) for value in listed]
        lists.append(listed)
    return list(zip(*lists, strict=True))


def _stage(connection: Connection, table: Table, columns: Mapping[str, Values]) -> str:
    """Copy rows into a temporary table with the same columns, and return its name."""
    # PgBouncer may have given the connection to a program of another version, whose table has other columns.
    version = crc32(repr([(column.name, str(column.type)) for column in table.columns]).encode())
    staged = f"given_{table.name}_{version:08x}"
    # The table is created once per connection; an earlier statement of the transaction may have filled it.
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {staged} ON COMMIT DELETE ROWS "
        f'AS SELECT * FROM "{table.name}" WITH NO DATA; DELETE FROM {staged}'
    )
    _copy(connection, table, columns, into=staged)
    return staged


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _copy(connection: Connection, table: Table, columns: Mapping[str, Values], *, into: str = "") -> None:
    """Send rows by PostgreSQL's COPY."""
    content = binary_rows(columns, {name: table.c[name].type for name in columns})
    statement = f'COPY "{into or table.name}" ({_listed(columns)}) FROM STDIN (FORMAT binary)'
    connection.exec_driver_sql(statement, execution_options={"trap_copy_from": io.BytesIO(content)})
