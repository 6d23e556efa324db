"""Rows as PostgreSQL's ``COPY … (FORMAT binary)`` reads and writes them, a column at a time.

A row is the number of its fields, then for each field its length in bytes and so many bytes, all
big-endian; a length of -1 is NULL ("Binary Format" in PostgreSQL's page on ``COPY``). Numbers go
as they lie in memory: nothing is printed and parsed, and floats arrive to the last bit.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import BigInteger, Boolean, Double, Integer, LargeBinary, SmallInteger, Text

from trap.db.types import UtcDateTime

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from sqlalchemy.types import TypeEngine

    Values = Sequence[Any] | NDArray[Any]
    Cells = tuple[NDArray[np.uint8], NDArray[np.bool_]]

__all__ = ["Rows", "binary_rows", "is_readable"]

HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
TRAILER = struct.pack("!h", -1)
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""From which PostgreSQL counts microseconds."""
MICROSECOND = timedelta(microseconds=1)
NUMPY_EPOCH = np.datetime64(EPOCH.replace(tzinfo=None), "us")
COUNT = np.dtype(">i2")
LENGTH = np.dtype(">i4")
WIRE = (
    # The two are kinds of Integer, too.
    *((SmallInteger, np.dtype(">i2")), (BigInteger, np.dtype(">i8")), (Integer, np.dtype(">i4"))),
    *((Double, np.dtype(">f8")), (Boolean, np.dtype("?")), (UtcDateTime, np.dtype(">i8"))),
)


def binary_rows(columns: Mapping[str, Values], types: Mapping[str, TypeEngine[Any]]) -> bytes:
    """Write rows, with what stands before and behind them.

    Parameters
    ----------
    columns
        Of one length, at least 1; None, or NaT, is NULL.
    types
        Of the database's columns, by name.

    Raises
    ------
    ValueError
        If an integer does not fit its column, or a time does not say its time zone.
    """
    fields = [_cells(name, types[name], values) for name, values in columns.items()]
    n_rows = len(fields[0][0])
    count = np.broadcast_to(_bytes_of(np.array([len(fields)], COUNT)), (n_rows, 2))
    cells = np.concatenate([count, *(content for content, _ in fields)], axis=1)
    is_used = np.concatenate([np.ones((n_rows, 2), bool), *(used for _, used in fields)], axis=1)
    rows: bytes = cells[is_used].tobytes()
    return HEADER + rows + TRAILER


def is_readable(kind: TypeEngine[Any]) -> bool:
    """Whether :class:`Rows` can read columns of a type."""
    return isinstance(kind, (Text, LargeBinary, *(generic for generic, _ in WIRE)))


class Rows:
    """Rows that PostgreSQL sends, kept until all are there; psycopg2's ``copy_expert`` writes to it."""

    def __init__(self) -> None:
        self._messages: list[bytes] = []

    def write(self, message: bytes) -> None:
        """Take a row: the server sends each in a message of its own ("COPY Operations" of its protocol).

        What stands before all rows comes with the first, what stands behind them as if it were the last.
        """
        self._messages.append(message)

    def columns(self, types: Mapping[str, TypeEngine[Any]]) -> dict[str, NDArray[Any]]:
        """Return the rows as columns by name.

        Parameters
        ----------
        types
            Of the database's columns, by name, in their order.

        Returns
        -------
        float64, where NULL is NaN; int64, bool, or ``datetime64[us]`` in UTC; object for text, bytes, and
        integers some of which are NULL.

        Raises
        ------
        ValueError
            If the rows are of other columns, or not all came.
        """
        first, *others = self._messages
        *rows, end = (row for row in (first.removeprefix(HEADER), *others) if row)
        if not first.startswith(HEADER) or end != TRAILER:
            msg = f"rows of {', '.join(types)} are not whole"
            raise ValueError(msg)
        sent = b"".join(rows)
        at = np.cumsum([0, *map(len, rows)])[:-1]
        if (_read(sent, at, COUNT) != len(types)).any():
            msg = f"rows are not of the {len(types)} columns {', '.join(types)}"
            raise ValueError(msg)
        at += COUNT.itemsize
        columns: dict[str, NDArray[Any]] = {}
        for name, kind in types.items():
            lengths = _read(sent, at, LENGTH).astype(np.int64)
            at += LENGTH.itemsize
            if isinstance(kind, Text | LargeBinary):
                columns[name] = _texts_read(sent, at, lengths, kind)
            else:
                columns[name] = _numbers_read(name, sent, at, lengths, kind)
            at += np.maximum(lengths, 0)
        return columns


def _read(sent: bytes, at: NDArray[np.int64], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Numbers that begin at given bytes."""
    anywhere: NDArray[Any] = np.ndarray(max(len(sent) - dtype.itemsize + 1, 0), dtype, sent, strides=(1,))
    return anywhere[at]


def _texts_read(sent: bytes, at: NDArray[np.int64], lengths: NDArray[np.int64], kind: TypeEngine[Any]) -> NDArray[Any]:
    places = zip(at.tolist(), lengths.tolist(), strict=True)
    contents: list[Any] = [None if length < 0 else sent[start : start + length] for start, length in places]
    if isinstance(kind, Text):
        contents = [None if content is None else content.decode() for content in contents]
    return np.array(contents, object)


def _numbers_read(
    name: str, sent: bytes, at: NDArray[np.int64], lengths: NDArray[np.int64], kind: TypeEngine[Any]
) -> NDArray[Any]:
    wire, is_null = _wire(kind), lengths < 0
    has_null = bool(is_null.any())
    there = np.flatnonzero(~is_null) if has_null else slice(None)
    if (lengths[there] != wire.itemsize).any():
        msg = f"{name}: {lengths.max()} bytes are not a {kind}"
        raise ValueError(msg)
    values = _read(sent, at[there], wire)
    unknown: Any = {"f": np.nan, "i": None if has_null else 0, "b": False}[wire.kind]
    dtype: Any = {"f": np.float64, "i": object if has_null else np.int64, "b": np.bool_}[wire.kind]
    if isinstance(kind, UtcDateTime):
        values = NUMPY_EPOCH + values.astype("m8[us]")
        unknown, dtype = np.datetime64("NaT"), values.dtype
    numbers: NDArray[Any] = np.full(len(at), unknown, dtype)
    numbers[there] = values.tolist() if dtype is object else values
    return numbers


def _wire(kind: TypeEngine[Any]) -> np.dtype[Any]:
    return next(dtype for generic, dtype in WIRE if isinstance(kind, generic))


def _cells(name: str, kind: TypeEngine[Any], values: Values) -> Cells:
    """(n, width) — lengths and contents of a column, all as wide as the widest, and which bytes are used."""
    if isinstance(kind, Text | LargeBinary):
        contents = [value.encode() if isinstance(value, str) else value for value in values]
        lengths = np.array([-1 if content is None else len(content) for content in contents])
        width = max(int(lengths.max()), 0)
        padded = b"".join((content or b"").ljust(width, b"\0") for content in contents)
        content = np.frombuffer(padded, np.uint8).reshape(len(contents), width)
    else:
        wire = _wire(kind)
        numbers, is_null = _numbers(name, values, wire)
        lengths = np.where(is_null, -1, wire.itemsize)
        content = _bytes_of(numbers)
    is_used = np.arange(content.shape[1]) < lengths[:, np.newaxis]
    used = np.concatenate([np.ones((len(lengths), LENGTH.itemsize), bool), is_used], axis=1)
    return np.concatenate([_bytes_of(lengths.astype(LENGTH)), content], axis=1), used


def _numbers(name: str, values: Values, wire: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Values as PostgreSQL's numbers, and which are NULL."""
    array = np.asarray(values)
    is_null = np.zeros(len(array), bool)
    if array.dtype.kind == "M":
        is_null = np.isnat(array)
        array = array.astype("M8[us]") - NUMPY_EPOCH
    elif array.dtype == object:
        is_null = np.array([value is None for value in values])
        array = np.array([0 if value is None else _number(value) for value in values])
    if wire.kind == "i":
        array = np.where(is_null, 0, array.astype(np.int64))
        limits = np.iinfo(wire)
        outside = (array < limits.min) | (array > limits.max)
        if outside.any():
            msg = f"{name}: {array[outside][0]} does not fit {8 * wire.itemsize} bits"
            raise ValueError(msg)
    return array.astype(wire), is_null


def _number(value: Any) -> Any:  # noqa: ANN401 (a number, or a time)
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is None:
        msg = f"{value!r} does not say its time zone"
        raise ValueError(msg)
    return (value - EPOCH) // MICROSECOND


def _bytes_of(numbers: NDArray[Any]) -> NDArray[np.uint8]:
    """(n, width) — the bytes of each number."""
    return np.ascontiguousarray(numbers).view(np.uint8).reshape(len(numbers), -1)
