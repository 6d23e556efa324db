"""Many rows in one statement: a thousand sources cost the database as many statements as one.

Rows come and go as columns, the way they lie in memory. PostgreSQL takes and gives them by ``COPY``, those
that change others into a temporary table first; SQLite takes them by the driver's own ``executemany``. Floats
arrive to the last bit. NaN stays NaN on PostgreSQL, unless it is made NULL; SQLite has none and stores NULL.
"""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import ARRAY, BigInteger, Table, any_, case, cast, column, func, select
from sqlalchemy.sql.elements import Label

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
"""NaT, as numpy keeps it."""


def reserve_ids(connection: Connection, model: type[Base], n: int) -> NDArray[np.int64]:
    """Take the next ``n`` row numbers of a table, so that rows can refer to each other before they are there.

    On SQLite they are only taken while the transaction lasts, which holds the write lock.

    Returns
    -------
    (n,) — rising.
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
    # Others may draw meanwhile; only then are the numbers worth listing.
    listed = case((last - first + 1 != n, func.array_agg(drawn.c.id)))
    lowest, highest, scattered = connection.execute(select(first, last, listed)).one()
    return np.arange(lowest, highest + 1) if scattered is None else np.sort(np.array(scattered, np.int64))


def insert_columns(connection: Connection, model: type[Base], columns: Mapping[str, Any]) -> None:
    """Insert rows.

    Parameters
    ----------
    columns
        Each of length n, or one value for all rows; at least one of length n. Columns left out get
        the default of the database. None is NULL; times are aware datetimes or numpy times in UTC.
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
    """Change some columns of the rows that column ``id`` names.

    Parameters
    ----------
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
        given = _set_aside(connection, table, filled)
        new = ", ".join(f'"{name}" = {given}."{name}"' for name in changed)
        connection.exec_driver_sql(f'UPDATE "{table.name}" SET {new} FROM {given} WHERE "{table.name}".id = {given}.id')


def upsert_columns(
    connection: Connection, model: type[Base], columns: Mapping[str, Any], *, key: Sequence[str]
) -> None:
    """Insert rows, or change those that are there already.

    Parameters
    ----------
    columns
        As for :func:`insert_columns`; no two rows with the same key.
    key
        Columns under a unique constraint that tell whether a row is there.
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
        given, names = _set_aside(connection, table, filled), _listed(filled)
        connection.exec_driver_sql(f'INSERT INTO "{table.name}" ({names}) SELECT {names} FROM {given} {otherwise}')


def read_columns(connection: Connection, rows: Select[Any]) -> dict[str, NDArray[Any]]:
    """Return the result of a query as columns by name.

    Returns
    -------
    float64, where NULL is NaN; int64, bool, or ``datetime64[us]`` in UTC; object for text, and for
    integers some of which are NULL.
    """
    types = {name: selected.type for name, selected in rows.selected_columns.items()}
    if connection.dialect.name == "postgresql" and all(map(_is_stored, rows.selected_columns)):
        copied = Rows()
        connection.execute(rows, execution_options={"trap_copy_to": copied, "yield_per": None, "stream_results": False})
        return copied.columns(types)
    result = connection.execute(rows).all()
    values = list(zip(*result, strict=True)) or [()] * len(types)
    return {name: _as_array(given, types[name].python_type) for name, given in zip(types, values, strict=True)}


def is_among(
    connection: Connection, wanted: InstrumentedAttribute[Any], values: Sequence[int] | Ids | Sequence[str]
) -> ColumnElement[bool]:
    """Make the condition that a column is one of any number of values.

    All of them travel as one: the databases limit the number of bound values, not their length.
    """
    listed = _python_values(values)
    if connection.dialect.name == "sqlite":
        rows = func.json_each(json.dumps(listed)).table_valued("value")
        return wanted.in_(select(rows.c.value))
    return wanted == any_(cast(listed, ARRAY(wanted.type)))


def nullable(values: NDArray[Any]) -> NDArray[Any]:
    """Values with NULL for what is not known: to PostgreSQL, NaN is a number, and the highest of all."""
    if not np.isnan(values).any():
        return values
    listed = values.astype(object)
    listed[np.isnan(values)] = None
    return listed


def given_pairs(connection: Connection, first: Sequence[int] | Ids, second: Sequence[int] | Ids) -> Subquery:
    """Make a table of two columns of ids, ``first`` and ``second``, to be joined with others."""
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
    """Make columns of single values; all have the same length."""
    lengths = {name: len(values) for name, values in columns.items() if _is_column(values)}
    if len(set(lengths.values())) != 1:
        msg = f"columns must have one length, got {lengths}"
        raise ValueError(msg)
    (n,) = set(lengths.values())
    return {name: values if name in lengths else [values] * n for name, values in columns.items()}


def _is_column(values: Any) -> bool:  # noqa: ANN401 (a column or a single value)
    return not isinstance(values, str | bytes) and np.ndim(values) > 0


def _python_values(values: Any) -> list[Any]:  # noqa: ANN401 (an array or a sequence)
    if not isinstance(values, np.ndarray):
        return [value.item() if isinstance(value, np.generic) else value for value in values]
    if values.dtype.kind != "M":
        listed: list[Any] = values.tolist()
        return listed
    moments = values.astype("M8[us]").tolist()
    return [None if moment is None else moment.replace(tzinfo=UTC) for moment in moments]


def _as_array(values: Sequence[Any], kind: type) -> NDArray[Any]:
    if kind is datetime:
        return np.array([_microseconds(value) for value in values], np.int64).view("M8[us]")
    dtype: Any = {float: np.float64, bool: np.bool_, int: np.int64}.get(kind, object)
    if dtype is np.int64 and None in values:
        dtype = object
    return np.array(values, dtype)


def _microseconds(moment: datetime | None) -> int:
    """Since 1970: what numpy makes of a datetime, in a tenth of the time it takes."""
    if moment is None:
        return NOT_A_TIME
    return (moment - EPOCH) // MICROSECOND


def _is_stored(selected: ColumnElement[Any]) -> bool:
    """Whether it is a column of a table: of what is computed, only PostgreSQL knows how it sends it."""
    element = selected.element if isinstance(selected, Label) else selected
    return isinstance(getattr(element, "table", None), Table) and is_readable(element.type)


def _n_rows(columns: Mapping[str, Values]) -> int:
    return len(next(iter(columns.values())))


def _insertion(table: Table, columns: Mapping[str, Values]) -> str:
    marks = ", ".join("?" * len(columns))
    return f'INSERT INTO "{table.name}" ({_listed(columns)}) VALUES ({marks})'


def _sqlite_rows(table: Table, columns: Mapping[str, Values]) -> list[tuple[Any, ...]]:
    """Make rows of columns, as SQLite takes them. SQLAlchemy would look at every value, at three times the cost."""
    lists = []
    for name, values in columns.items():
        listed = _python_values(values)
        if isinstance(table.c[name].type, UtcDateTime):
            listed = [None if value is None else as_sqlite_text(value) for value in listed]
        lists.append(listed)
    return list(zip(*lists, strict=True))


def _set_aside(connection: Connection, table: Table, columns: Mapping[str, Values]) -> str:
    """Copy rows into a temporary table like this one; returns its name."""
    given = f"given_{table.name}"
    # Made once a connection; the transaction may have used it before.
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {given} ON COMMIT DELETE ROWS "
        f'AS SELECT * FROM "{table.name}" WITH NO DATA; DELETE FROM {given}'
    )
    _copy(connection, table, columns, into=given)
    return given


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _copy(connection: Connection, table: Table, columns: Mapping[str, Values], *, into: str = "") -> None:
    """Send rows by PostgreSQL's COPY."""
    content = binary_rows(columns, {name: table.c[name].type for name in columns})
    statement = f'COPY "{into or table.name}" ({_listed(columns)}) FROM STDIN (FORMAT binary)'
    connection.exec_driver_sql(statement, execution_options={"trap_copy_from": io.BytesIO(content)})
