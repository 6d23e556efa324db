"""Rows in PostgreSQL's binary ``COPY`` format, written and read column by column.

A row is the number of its fields, followed for each field by its length in bytes and its content, all big-endian; the
length -1 stands for NULL ("Binary Format" in PostgreSQL's page on ``COPY``). Numbers are copied as they lie in memory:
nothing is printed and parsed, and floats are preserved to the last bit. Decision 14 compares the alternatives.
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
"""Zero of PostgreSQL's timestamps, which count microseconds."""
MICROSECOND = timedelta(microseconds=1)
NUMPY_EPOCH = np.datetime64(EPOCH.replace(tzinfo=None), "us")
COUNT = np.dtype(">i2")
LENGTH = np.dtype(">i4")
WIRE = (
    # SmallInteger and BigInteger are subclasses of Integer and must come first.
    *((SmallInteger, np.dtype(">i2")), (BigInteger, np.dtype(">i8")), (Integer, np.dtype(">i4"))),
    *((Double, np.dtype(">f8")), (Boolean, np.dtype("?")), (UtcDateTime, np.dtype(">i8"))),
)


def binary_rows(columns: Mapping[str, Values], types: Mapping[str, TypeEngine[Any]]) -> bytes:
    """Write rows, with the header and trailer of the format.

    Parameters
    ----------
    columns
        Columns of one length, at least 1; None and NaT are NULL.
    types
        Types of the table's columns, by name.

    Raises
    ------
    ValueError
        If an integer does not fit its column, or a time has no time zone.
    """
    # All cells of a column get the width of its widest one; the mask then drops the unused bytes of all rows at once.
    fields = [_cells(name, types[name], values) for name, values in columns.items()]
    n_rows = len(fields[0][0])
    count = np.broadcast_to(_bytes_of(np.array([len(fields)], COUNT)), (n_rows, 2))
    cells = np.concatenate([count, *(content for content, _ in fields)], axis=1)
    is_used = np.concatenate([np.ones((n_rows, 2), bool), *(used for _, used in fields)], axis=1)
    rows: bytes = cells[is_used].tobytes()
    return HEADER + rows + TRAILER


def is_readable(kind: TypeEngine[Any]) -> bool:
    """Return whether :class:`Rows` can read columns of a type."""
    return isinstance(kind, (Text, LargeBinary, *(generic for generic, _ in WIRE)))


class Rows:
    """Rows received from PostgreSQL, collected until all are complete; psycopg2's ``copy_expert`` writes to it."""

    def __init__(self) -> None:
        self._messages: list[bytes] = []

    def write(self, message: bytes) -> None:
        """Add one message of the server: it sends each row as a message ("COPY Operations" of its protocol).

        The header comes with the first row; the trailer comes as a message of its own.
        """
        self._messages.append(message)

    def columns(self, types: Mapping[str, TypeEngine[Any]]) -> dict[str, NDArray[Any]]:
        """Return the rows as columns by name.

        Parameters
        ----------
        types
            Types of the selected columns, by name, in order.

        Returns
        -------
        float64, with NaN for NULL; int64, bool, or ``datetime64[us]`` in UTC; object for text, bytes, and integers if
        some are NULL.

        Raises
        ------
        ValueError
            If the rows have other columns, or are incomplete.
        """
        first, *others = self._messages
        *rows, end = (row for row in (first.removeprefix(HEADER), *others) if row)
        if not first.startswith(HEADER) or end != TRAILER:
            msg = f"rows of {', '.join(types)} are incomplete"
            raise ValueError(msg)
        sent = b"".join(rows)
        # Position of the next byte to read in each row; it advances from field to field for all rows together.
        at = np.cumsum([0, *map(len, rows)])[:-1]
        if (_read(sent, at, COUNT) != len(types)).any():
            msg = f"rows do not have the {len(types)} columns {', '.join(types)}"
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
    """Read numbers at given positions [bytes]."""
    # One element per byte, overlapping: an index is then a position in bytes.
    anywhere: NDArray[Any] = np.ndarray(max(len(sent) - dtype.itemsize + 1, 0), dtype, sent, strides=(1,))
    return anywhere[at]


def _texts_read(sent: bytes, at: NDArray[np.int64], lengths: NDArray[np.int64], kind: TypeEngine[Any]) -> NDArray[Any]:
    """Read texts or bytes of given lengths at given positions; a negative length is NULL."""
    places = zip(at.tolist(), lengths.tolist(), strict=True)
    contents: list[Any] = [None if length < 0 else sent[start : start + length] for start, length in places]
    if isinstance(kind, Text):
        contents = [None if content is None else content.decode() for content in contents]
    return np.array(contents, object)


def _numbers_read(
    name: str, sent: bytes, at: NDArray[np.int64], lengths: NDArray[np.int64], kind: TypeEngine[Any]
) -> NDArray[Any]:
    """Read numbers or times at given positions; a negative length is NULL."""
    wire, is_null = _wire(kind), lengths < 0
    has_null = bool(is_null.any())
    valid = np.flatnonzero(~is_null) if has_null else slice(None)
    if (lengths[valid] != wire.itemsize).any():
        msg = f"{name}: {lengths.max()} bytes do not make a {kind}"
        raise ValueError(msg)
    values = _read(sent, at[valid], wire)
    null: Any = {"f": np.nan, "i": None if has_null else 0, "b": False}[wire.kind]
    dtype: Any = {"f": np.float64, "i": object if has_null else np.int64, "b": np.bool_}[wire.kind]
    if isinstance(kind, UtcDateTime):
        values = NUMPY_EPOCH + values.astype("m8[us]")
        null, dtype = np.datetime64("NaT"), values.dtype
    numbers: NDArray[Any] = np.full(len(at), null, dtype)
    numbers[valid] = values.tolist() if dtype is object else values
    return numbers


def _wire(kind: TypeEngine[Any]) -> np.dtype[Any]:
    return next(dtype for generic, dtype in WIRE if isinstance(kind, generic))


def _cells(name: str, kind: TypeEngine[Any], values: Values) -> Cells:
    """Encode a column.

    Returns
    -------
    (n, width) — lengths and contents, padded to the width of the widest cell; and a mask of the used bytes.
    """
    if isinstance(kind, Text | LargeBinary):
        # PostgreSQL has no NUL in texts; telescopes and comments of foreign files may hold one.
        contents = [value.replace("\0", "\ufffd").encode() if isinstance(value, str) else value for value in values]
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
    """Convert values to PostgreSQL's numbers; returns the numbers and a mask of NULLs."""
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
    """Convert a time to PostgreSQL's microseconds; other values are returned unchanged."""
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is None:
        msg = f"{value!r} has no time zone"
        raise ValueError(msg)
    return (value - EPOCH) // MICROSECOND


def _bytes_of(numbers: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the bytes of each number, (n, width)."""
    return np.ascontiguousarray(numbers).view(np.uint8).reshape(len(numbers), -1)
