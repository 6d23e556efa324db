from __future__ import annotations

import io
import sys
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from trap.errors import ConfigError
from trap.report.parquet_files import write_parquet
from trap.report.table_stream import TableStream
from trap.tables import Column

COLUMNS = {
    "runcat": Column(np.dtype("i8"), "", "Row."),
    "band": Column(np.dtype("i8"), "", ""),
    "f_int": Column(np.dtype("f8"), "Jy", "Flux density; NaN if not measured.", ucd="phot.flux.density"),
    "taustart_ts": Column(np.dtype("M8[us]"), "", "Start."),
    "is_new": Column(np.dtype("?"), "", ""),
    "name": Column(np.dtype("O"), "", ""),
}
CHUNKS = [
    {
        "runcat": np.array([first, first + 1]),
        "band": np.ma.MaskedArray([7, 0], [False, True]),
        "f_int": np.array([1 / 3, np.nan]),
        "taustart_ts": np.array(["2026-01-01T00:00:00.000001", "NaT"], "M8[us]"),
        "is_new": np.array([True, False]),
        "name": np.array(["é, '=cmd'\n\x00\udcff", None], object),
    }
    for first in (1, 3)
]
STREAM = TableStream(name="points", columns=COLUMNS, chunks=CHUNKS, n_rows=4, about={"dataset": 5}, widths={"name": 30})


def written(stream, folder):
    with (folder / "t.parquet").open("wb") as file:
        write_parquet(stream, file)
    return folder / "t.parquet"


def test_values_and_missing_values_are_read_back(tmp_path):
    table = pq.read_table(written(STREAM, tmp_path))
    assert table.column_names == list(COLUMNS)
    assert table["runcat"].to_pylist() == [1, 2, 3, 4]
    assert table["band"].to_pylist() == [7, None, 7, None]
    np.testing.assert_array_equal(table["f_int"].to_numpy(), [1 / 3, np.nan, 1 / 3, np.nan])
    assert table["taustart_ts"].to_pylist()[:2] == [datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC), None]
    assert table["is_new"].to_pylist() == [True, False, True, False]
    assert table["name"].to_pylist()[:2] == ["é, '=cmd'\n\x00\\udcff", ""]


def test_fields_have_units_meanings_and_ucds_and_chunks_are_row_groups(tmp_path):
    path = written(STREAM, tmp_path)
    field = pq.read_schema(path).field("f_int")
    described = {key.decode(): value.decode() for key, value in field.metadata.items() if key != b"PARQUET:field_id"}
    assert described == {
        "unit": "Jy",
        "description": "Flux density; NaN if not measured.",
        "ucd": "phot.flux.density",
    }
    assert pq.read_schema(path).metadata[b"dataset"] == b"5"
    assert pq.ParquetFile(path).num_row_groups == 2


def test_astropy_reads_units_and_meanings(tmp_path):
    table = Table.read(written(STREAM, tmp_path))
    assert table["f_int"].tolist()[::2] == [1 / 3, 1 / 3]
    assert (table["f_int"].unit, table["f_int"].description) == ("Jy", "Flux density; NaN if not measured.")
    assert table["name"].tolist()[1] == ""


def test_table_without_rows_has_its_columns(tmp_path):
    path = written(replace(STREAM, chunks=[], n_rows=0), tmp_path)
    assert pq.read_table(path).column_names == list(COLUMNS)
    assert Table.read(path).colnames == list(COLUMNS)


def test_missing_library_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"needs pyarrow, .* pip install 'trap-transients\[parquet\]'"):
        write_parquet(STREAM, io.BytesIO())
