"""Tables as text, written in chunks: hostile text, missing values, and tables without rows."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from astropy.io.votable import parse, validate
from astropy.table import Table

from trap.report.table_files import write_fits
from trap.report.table_stream import TableStream
from trap.report.text_files import write_csv, write_ecsv, write_json, write_votable
from trap.tables import Column

HOSTILE = ["=cmd|'/c calc'!A0", 'quote " and, comma', "<TD>&amp;</TD>", "é σ 🛰", "\x1b[31m\n\u202e\x00", "", "# -"]
"""Text that computes, ends a cell, is no ASCII, obeys a terminal, is empty, or begins a comment."""
SHOWN = [*HOSTILE[:4], "\\x1b[31m\\n\\u202e\\x00", "", "# -"]
"""The same on one line, without control characters."""
N = len(HOSTILE)
VALUES = {
    "runcat": np.arange(N) + 2**53 + 1,
    "band": np.ma.MaskedArray(np.arange(N), np.arange(N) % 3 == 1),
    "f_int": np.array([0.1, np.nan, -1e-300, 1 / 3, np.inf, -np.inf, 0.0]),
    "taustart_ts": np.array(["2026-01-01T00:00:00.000001"] * (N - 1) + ["NaT"], "M8[us]"),
    "is_new": np.arange(N) % 2 == 0,
    "name": np.array(HOSTILE, object),
}
UNITS = {"f_int": "Jy"}
COLUMNS = {
    name: Column(
        values.dtype, UNITS.get(name, ""), f"Meaning of <{name}>: 1σ.", ucd="meta.id" if name == "name" else ""
    )
    for name, values in VALUES.items()
}


def stream(*sizes):
    """Make a table of chunks with these numbers of rows."""
    ends = np.cumsum(sizes)
    chunks = [
        {name: values[end - n : end] for name, values in VALUES.items()} for n, end in zip(sizes, ends, strict=True)
    ]
    return TableStream(
        name="points", columns=COLUMNS, chunks=chunks, n_rows=sum(sizes), about={"dataset": 3}, widths={"name": 40}
    )


def written(write, *sizes):
    file = io.BytesIO()
    write(stream(*sizes), file)
    return file.getvalue()


@pytest.mark.parametrize("write", [write_csv, write_ecsv, write_json, write_votable, write_fits])
def test_chunks_make_the_same_file(write, monkeypatch):
    whole = written(write, N)
    monkeypatch.setattr("trap.report.table_stream.parts.__defaults__", (2,))
    assert written(write, 1, N - 1) == whole
    assert written(write, 3, 2, N - 5) == whole


def test_csv_leaves_missing_values_empty_and_disarms_formulas():
    first, *_ = rows = list(csv.DictReader(io.StringIO(written(write_csv, N).decode())))
    assert [row["name"] for row in rows] == ["'" + SHOWN[0], *SHOWN[1:]]
    assert [row["f_int"] for row in rows] == ["0.1", "", "-1e-300", repr(1 / 3), "", "", "0.0"]
    assert [row["band"] for row in rows] == ["0", "", "2", "3", "", "5", "6"]
    assert first["runcat"] == str(2**53 + 1)
    assert (first["taustart_ts"], rows[-1]["taustart_ts"]) == ("2026-01-01T00:00:00.000001Z", "")
    assert first["is_new"] == "True"


def test_json_has_null_for_missing_values():
    rows = json.loads(written(write_json, N))
    assert [row["name"] for row in rows] == HOSTILE
    assert [row["f_int"] for row in rows] == [0.1, None, -1e-300, 1 / 3, None, None, 0.0]
    assert [row["band"] for row in rows] == [0, None, 2, 3, None, 5, 6]
    assert rows[0]["is_new"] is True
    assert rows[-1]["taustart_ts"] is None
    assert list(rows[0]) == list(VALUES)


@pytest.mark.parametrize(
    ("write", "form"), [(write_ecsv, "ascii.ecsv"), (write_votable, "votable"), (write_fits, "fits")]
)
def test_astropy_reads_values_units_and_meanings(write, form, tmp_path):
    (tmp_path / "t").write_bytes(written(write, N))
    table = Table.read(tmp_path / "t", format=form)
    assert table.colnames == list(VALUES)
    assert {name: table[name].dtype.newbyteorder("=") for name in ("runcat", "band", "f_int", "is_new")} == {
        name: VALUES[name].dtype for name in ("runcat", "band", "f_int", "is_new")
    }
    assert table["runcat"].tolist() == VALUES["runcat"].tolist()
    assert table["is_new"].tolist() == VALUES["is_new"].tolist()
    assert np.ma.getmaskarray(table["band"]).tolist() == np.ma.getmaskarray(VALUES["band"]).tolist()
    assert np.ma.compressed(table["band"]).tolist() == VALUES["band"].compressed().tolist()
    read = np.ma.filled(table["f_int"], np.nan)
    lost = np.isinf if form == "ascii.ecsv" else np.zeros_like
    np.testing.assert_array_equal(read, np.where(lost(VALUES["f_int"]), np.nan, VALUES["f_int"]))
    ascii_only = [text.encode("ascii", "replace").decode() for text in SHOWN]
    assert np.ma.filled(table["name"].astype(str), "").tolist() == (ascii_only if form == "fits" else SHOWN)
    times = np.ma.filled(table["taustart_ts"].astype(str), "").tolist()
    assert times == ["2026-01-01T00:00:00.000001Z"] * (N - 1) + [""]
    assert table["f_int"].unit == "Jy"
    if form == "fits":
        assert (table.meta["TCOMM3"], table.meta["TUCD6"]) == ("Meaning of <f_int>: 1sigma.", "meta.id")
        assert table.meta["DATASET"] == 3
    else:
        assert table["f_int"].description == "Meaning of <f_int>: 1σ."
        assert table["name"].meta["ucd"] == "meta.id"


def test_votable_is_valid_and_knows_the_system_of_its_times(tmp_path):
    (tmp_path / "t.vot").write_bytes(written(write_votable, N))
    report = io.StringIO()
    assert validate(tmp_path / "t.vot", output=report), report.getvalue()
    table = parse(tmp_path / "t.vot").get_first_table()
    assert table.nrows == N
    (field,) = (field for field in table.fields if field.name == "taustart_ts")
    assert (field.xtype, field.ref) == ("timestamp", "utc")


@pytest.mark.parametrize(
    ("write", "form"),
    [(write_csv, "ascii.csv"), (write_ecsv, "ascii.ecsv"), (write_votable, "votable"), (write_fits, "fits")],
)
def test_table_without_rows_is_a_table(write, form, tmp_path):
    (tmp_path / "t").write_bytes(written(write))
    table = Table.read(tmp_path / "t", format=form)
    assert (table.colnames, len(table)) == (list(VALUES), 0)
    assert json.loads(written(write_json)) == []


def test_text_that_is_wider_than_announced_is_no_broken_file():
    narrow = TableStream(**{**{name: getattr(stream(N), name) for name in stream(N).__slots__}, "widths": {"name": 5}})
    with pytest.raises(ValueError, match="column name: a text of .* characters does not fit 5"):
        write_fits(narrow, io.BytesIO())
    short = TableStream(**{**{name: getattr(stream(N), name) for name in stream(N).__slots__}, "n_rows": 3})
    with pytest.raises(ValueError, match=f"table of points: {N} rows in place of 3"):
        write_fits(short, io.BytesIO())
