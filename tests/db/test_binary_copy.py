from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, LargeBinary, MetaData, SmallInteger, Table, Text

from trap.db.binary_copy import HEADER, TRAILER, Rows, binary_rows
from trap.db.bulk import _copy, read_columns
from trap.db.engine import reading, transaction
from trap.db.types import UtcDateTime

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)


def rows_of(kind, values):
    """Write one column, without the header and trailer of the format."""
    written = binary_rows({"c": values}, {"c": kind})
    assert written.startswith(HEADER)
    assert written.endswith(TRAILER)
    return written[len(HEADER) : -len(TRAILER)]


def test_row_is_the_number_of_fields_and_each_with_its_length():
    written = binary_rows({"a": [7, 8], "b": ["x", "yz"]}, {"a": SmallInteger(), "b": Text()})
    expected = struct.pack("!hihi1s", 2, 2, 7, 1, b"x") + struct.pack("!hihi2s", 2, 2, 8, 2, b"yz")
    assert written == HEADER + expected + TRAILER


@pytest.mark.parametrize(
    ("kind", "value", "content"),
    [
        (SmallInteger(), -2, struct.pack("!h", -2)),
        (Integer(), 2**31 - 1, struct.pack("!i", 2**31 - 1)),
        (BigInteger(), -(2**63), struct.pack("!q", -(2**63))),
        (Double(), 0.1, struct.pack("!d", 0.1)),
        (Boolean(), True, b"\1"),
        (Text(), "ü✓", "ü✓".encode()),
        (Text(), "WS\0RT\0", "WS\ufffdRT\ufffd".encode()),
        (LargeBinary(), b"\0\xff", b"\0\xff"),
        (UtcDateTime(), datetime(2000, 1, 1, 0, 0, 1, tzinfo=UTC), struct.pack("!q", 1_000_000)),
        (UtcDateTime(), datetime(1999, 12, 31, 23, tzinfo=UTC), struct.pack("!q", -3_600_000_000)),
    ],
    ids=lambda given: type(given).__name__,
)
def test_value_of_every_type_next_to_null(kind, value, content):
    field = struct.pack("!hi", 1, len(content)) + content
    null = struct.pack("!hi", 1, -1)
    assert rows_of(kind, [value]) == field
    assert rows_of(kind, [None, value, None]) == null + field + null


def test_nan_is_no_null_and_no_time_is():
    assert rows_of(Double(), np.array([np.nan])) == struct.pack("!hid", 1, 8, np.nan)
    assert rows_of(UtcDateTime(), np.array(["NaT"], "M8[us]")) == struct.pack("!hi", 1, -1)


@pytest.mark.parametrize(("kind", "value"), [(SmallInteger(), 40_000), (Integer(), -(2**31) - 1)])
def test_integer_that_does_not_fit_is_refused(kind, value):
    with pytest.raises(ValueError, match=f"c: {value} does not fit"):
        binary_rows({"c": [0, None, value]}, {"c": kind})


def rows_read(messages, **types):
    rows = Rows()
    for message in messages:
        rows.write(message)
    return rows.columns(types)


@pytest.mark.parametrize("n_rows", [0, 1, 3])
@pytest.mark.parametrize("has_header_apart", [False, True])
def test_rows_are_read_one_a_message(n_rows, has_header_apart):
    sent = [struct.pack("!hi2sid", 2, 2, b"ab", 8, 0.1 + i) for i in range(n_rows)]
    first, *others = [*sent, TRAILER]
    messages = [HEADER, first, *others] if has_header_apart else [HEADER + first, *others]
    read = rows_read(messages, word=Text(), number=Double())
    assert read["word"].tolist() == ["ab"] * n_rows
    assert read["number"].tolist() == [0.1 + i for i in range(n_rows)]
    assert read["number"].dtype == np.float64


@pytest.mark.parametrize("messages", [[HEADER], [HEADER + struct.pack("!hii", 1, 4, 7)], [TRAILER]])
def test_incomplete_rows_are_refused(messages):
    with pytest.raises(ValueError, match="incomplete|not enough values"):
        rows_read(messages, a=Integer())


@pytest.mark.parametrize(
    ("types", "complaint"),
    [
        ({"a": Double()}, "a: 4 bytes do not make a DOUBLE"),
        ({"a": Integer(), "b": Text()}, "do not have the 2 columns a, b"),
    ],
)
def test_rows_of_other_columns_are_refused(types, complaint):
    with pytest.raises(ValueError, match=complaint):
        rows_read([HEADER + struct.pack("!hii", 1, 4, 7), TRAILER], **types)


def test_postgresql_reads_it_and_gives_it_back(engine):
    if engine.dialect.name == "sqlite":
        return  # which has no COPY
    moments = [NOW, NOW.astimezone(timezone(timedelta(hours=-3))), None, datetime(1, 1, 1, tzinfo=UTC)]
    values = {
        "small": [-(2**15), 2**15 - 1, None, 0],
        "middle": np.array([-(2**31), 2**31 - 1, 0, 1]),
        "large": [2**63 - 1, None, -(2**63), 1],
        "number": [0.1, np.inf, None, 5e-324],
        "switch": np.array([True, False, True, True]),
        "text": ["", None, "a\tb\\n\"'\n", "ünïcode ✓"],
        "content": [b"", bytes(range(256)), None, b"\\x00"],
        "moment": moments,
    }
    kinds = (SmallInteger(), Integer(), BigInteger(), Double(), Boolean(), Text(), LargeBinary(), UtcDateTime())
    columns = [Column(name, kind) for name, kind in zip(values, kinds, strict=True)]
    table = Table("everything", MetaData(), *columns)
    with transaction(engine) as connection:
        table.create(connection)
        _copy(connection, table, values)
    with reading(engine) as connection:
        back = list(zip(*connection.execute(table.select()), strict=True))
        copied = read_columns(connection, table.select())
    with transaction(engine) as connection:
        table.drop(connection)  # the database is shared with other tests
    for (name, given), column in zip(values.items(), back, strict=True):
        read = [bytes(value) if isinstance(value, memoryview) else value for value in column]
        assert read == list(given), name
    in_utc = [moment and moment.astimezone(UTC).replace(tzinfo=None) for moment in moments]
    as_numpy = {"number": [0.1, np.inf, np.nan, 5e-324], "moment": in_utc}
    for name, given in {**values, **as_numpy}.items():
        np.testing.assert_array_equal(copied[name].tolist(), list(given), err_msg=name, strict=True)
    dtypes = [copied[name].dtype.str for name in values]
    assert dtypes == ["|O", "<i8", "|O", "<f8", "|b1", "|O", "|O", "<M8[us]"]
