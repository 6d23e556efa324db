"""The formats of tables: each reads back with its values, units and meanings."""

from __future__ import annotations

import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from trap.catalogues import Measurements
from trap.report.columns import ExportTable, source_columns
from trap.report.formats import FORMATS
from trap.tables import Column

SOURCES = Measurements.of(
    x=[10.0, 20.0], y=1, ra=[0.5, 15.0], dec=10, ew_fit_err=1e-4, ns_fit_err=2e-4, f_peak=[0.5, np.nan], f_peak_err=1,
    f_int=1, f_int_err=1, rms=1, significance=1, semimajor=6, semiminor=5, pa=10, flags=[0, 16],
)  # fmt: skip
ABOUT = {"image": "é.fits", "det_thr": 5.0}


def sources_table(names=(), about=ABOUT):
    return ExportTable(name="sources", columns=source_columns([SOURCES], names), about=about)


def written_and_read(name, table, folder):
    path = folder / "table"
    path.write_bytes(FORMATS[name].encode(table))
    return Table.read(path, format={"csv": "ascii.csv", "ecsv": "ascii.ecsv"}.get(name, name))


@pytest.fixture(params=["votable", "fits", "ecsv"])
def written(request, tmp_path):
    """A table written and read back."""
    return written_and_read(request.param, sources_table(["né", ""]), tmp_path)


def test_values_survive(written):
    for name, values in SOURCES.as_dict().items():
        assert [np.nan if np.ma.is_masked(value) else value for value in written[name]] == pytest.approx(
            values.tolist(), nan_ok=True
        )
        assert written[name].dtype.newbyteorder("=") == values.dtype


def test_units_are_written(written):
    for name, column in SOURCES.columns().items():
        assert written[name].unit == (column.unit or None)


def test_votable_has_descriptions_and_ucds(tmp_path):
    table = written_and_read("votable", sources_table(), tmp_path)
    assert "name" not in table.colnames
    assert table["f_peak"].description == SOURCES.columns()["f_peak"].doc
    assert table["ra"].meta["ucd"] == "pos.eq.ra;meta.main"
    assert "det_thr 5.0" in table.meta["description"]


def test_fits_has_descriptions_and_ucds(tmp_path):
    (tmp_path / "t.fits").write_bytes(FORMATS["fits"].encode(sources_table()))
    header = fits.getheader(tmp_path / "t.fits", 1)
    number = 1 + list(SOURCES.columns()).index("ns_fit_err")
    assert header[f"TCOMM{number}"] == "1sigma error of the fit along north-south."
    assert header[f"TUCD{number}"] == "stat.error;pos.eq.dec"
    assert (header["IMAGE"], header["DET_THR"]) == ("?.fits", 5.0)


@pytest.mark.parametrize("name", ["votable", "fits"])
def test_empty_table_is_a_table(name, tmp_path):
    empty = ExportTable(name="sources", columns=source_columns([Measurements.empty()]))
    assert len(written_and_read(name, empty, tmp_path)) == 0


RESULT = {
    "runcat": ("", np.array([3, 4])),
    "taustart_ts": ("", np.array(["2026-01-01T00:00:00.5", "NaT"], "M8[us]")),
    "f_int": ("Jy", np.array([0.5, np.nan])),
    "rms": ("Jy/beam", np.array([0.25, 0.5], np.float32)),
    "is_new": ("", np.array([True, False])),
    "url": ("", np.array(["a, b.fits", None], object)),
    "band": ("", np.array([7, None], object)),
}
"""A result of every type that a query of the database returns."""
RESULT_TABLE = ExportTable(
    name="points",
    columns={
        name: (Column(values.dtype, unit, f"Meaning of {name}."), values) for name, (unit, values) in RESULT.items()
    },
    about={"dataset": 1},
)


TABLES = [name for name, one in FORMATS.items() if one.write is not None and not one.tables]


@pytest.mark.parametrize("name", sorted(set(TABLES) - {"json", "parquet"}))
def test_every_format_reads_back_as_it_was_written(name, tmp_path):
    table = written_and_read(name, RESULT_TABLE, tmp_path)
    assert table.colnames == list(RESULT)
    first, second = ([plain(value) for value in row] for row in table.iterrows())
    assert first == [3, "2026-01-01T00:00:00.500000Z", 0.5, 0.25, "True", "a, b.fits", 7]
    assert second == [4, None, None, 0.5, "False", None, None]


def plain(value):
    """None for any form of a missing value; booleans as text, which is how CSV holds them."""
    if value is np.ma.masked or (isinstance(value, np.floating) and np.isnan(value)):
        return None
    if isinstance(value, str | np.bool_):
        return str(value).strip() or None
    return value


@pytest.mark.parametrize("name", ["votable", "fits"])
def test_results_keep_their_units_and_meanings(name, tmp_path):
    table = written_and_read(name, RESULT_TABLE, tmp_path)
    assert [table[name].unit for name in ("f_int", "rms", "runcat")] == ["Jy", "Jy/beam", None]
    if name == "votable":
        assert table["f_int"].description == "Meaning of f_int."
        assert table.meta["description"].startswith("Table of points by trap ")
    else:
        assert table.meta["TCOMM3"] == "Meaning of f_int."
        assert table.meta["DATASET"] == 1


def test_json_reads_back_as_it_was_written():
    first, second = json.loads(FORMATS["json"].encode(RESULT_TABLE))
    assert first == {
        "runcat": 3, "taustart_ts": "2026-01-01T00:00:00.500000Z", "f_int": 0.5, "rms": 0.25, "is_new": True,
        "url": "a, b.fits", "band": 7,
    }  # fmt: skip
    assert second == {
        "runcat": 4, "taustart_ts": None, "f_int": None, "rms": 0.5, "is_new": False, "url": None, "band": None
    }  # fmt: skip


def test_formats_of_text_are_text():
    for table_format in map(FORMATS.get, TABLES):
        content = table_format.encode(RESULT_TABLE)
        assert (b"\0" not in content) is table_format.is_text
        assert content.endswith(b"\n") is table_format.is_text


def test_format_of_more_than_a_table_is_refused():
    for table_format in FORMATS.values():
        if table_format.write is None:
            with pytest.raises(ValueError, match=f"a table alone cannot be written as {table_format.name}"):
                table_format.encode(RESULT_TABLE)
