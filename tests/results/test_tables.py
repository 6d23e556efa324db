"""Tables of results: units, meanings and UCDs, times, missing values, files and data frames."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from astropy import units
from astropy.table import QTable, Table
from astropy.time import Time
from astropy.timeseries import TimeSeries

from trap.codes import stokes_letter
from trap.errors import ConfigError
from trap.results.tables import LightCurve, as_results, as_series, stokes_codes
from trap.tables import Column

TIMES = np.array(["2026-01-01T00:00:00", "2026-01-01T00:00:01.000250"], "M8[us]")


def described(values, unit="", doc="A value.", ucd=""):
    return Column(values.dtype, unit, doc, ucd=ucd), values


@pytest.fixture
def columns():
    return {
        "ra": described(np.array([10.0, 359.0]), "deg", ucd="pos.eq.ra;meta.main"),
        "decl": described(np.array([-30.0, 45.0]), "deg"),
        "f_int": described(np.array([1.5, np.nan]), "Jy", "Integrated flux density.", "phot.flux.density;em.radio"),
        "thresh": described(np.array([5.0, 5.0]), "sigma"),
        "number": described(np.ma.MaskedArray([1, 2], [False, True])),
        "size": described(np.array([128, None], object), "pix"),
        "text": described(np.array(["a", None], object)),
        "when": described(TIMES),
        "is_late": described(np.array([True, False])),
    }


def test_floats_with_a_unit_are_quantities_with_meaning_and_ucd(columns):
    table = as_results(columns, {"dataset": 7})
    assert isinstance(table["f_int"], units.Quantity)
    assert table["f_int"].unit == units.Jy
    assert table["f_int"][0] == 1500 * units.mJy
    assert np.isnan(table["f_int"][1])
    assert table["f_int"].info.description == "Integrated flux density."
    assert table["f_int"].info.meta == {"ucd": "phot.flux.density;em.radio"}
    assert table["thresh"].unit is None
    assert table.meta == {"dataset": 7}


def test_missing_integers_and_texts_are_masked(columns):
    table = as_results(columns, {})
    for name in ("number", "size", "text"):
        assert table[name].mask.tolist() == [False, True]
    assert table["number"].dtype == np.int64
    assert table["size"].unit == units.pix
    assert table["is_late"].dtype == bool


def test_times_keep_the_microsecond(columns):
    when = as_results(columns, {})["when"]
    assert when.scale == "utc"
    assert when.isot.tolist() == ["2026-01-01T00:00:00.000000", "2026-01-01T00:00:01.000250"]
    assert as_results({"t": described(TIMES[:1])}, {})["t"].isot.tolist() == ["2026-01-01T00:00:00"]


def test_times_of_any_day_are_those_of_astropy():
    # Leap days and seconds, the ends of years, and a microsecond before midnight.
    texts = ["1969-12-31T23:59:59.999999", "2000-02-29T12:34:56.789", "2016-12-31T23:59:59", "2017-01-01", "2026-03-01"]
    stamps = np.array(texts, "M8[us]")
    made = as_results({"t": described(stamps)}, {})
    assert abs((made["t"] - Time(stamps.astype(str), scale="utc")).to_value("ns")).max() < 1e-3
    np.testing.assert_array_equal(made.to_pandas()["t"].to_numpy("M8[us]"), stamps)


def test_missing_time_is_masked():
    when = as_results({"t": described(np.array(["2026-01-01", "NaT"], "M8[us]"))}, {})["t"]
    assert when.mask.tolist() == [False, True]


def test_coordinates_are_those_of_the_rows(columns):
    place = as_results(columns, {}).coordinates
    assert (place.frame.name, place.ra.deg.tolist(), place.dec.deg.tolist()) == ("icrs", [10, 359], [-30, 45])
    with pytest.raises(ConfigError, match="no position among the columns f_int"):
        _ = as_results({"f_int": columns["f_int"]}, {}).coordinates


def test_table_without_rows_keeps_units(columns):
    empty = {name: (column, values[:0]) for name, (column, values) in columns.items()}
    table = as_results(empty, {})
    assert len(table) == 0
    assert table["f_int"].unit == units.Jy
    assert len(table.to_pandas()) == 0


def test_time_of_a_light_curve_is_the_middle(columns):
    curve = as_series(LightCurve, TIMES, np.array([10.0, np.nan]), columns, {})
    assert curve.time.isot.tolist() == ["2026-01-01T00:00:05.000000", "2026-01-01T00:00:01.000250"]
    assert curve.colnames[0] == "time"
    assert isinstance(curve, TimeSeries)


def test_light_curve_survives_a_file(columns, tmp_path):
    curve = as_series(LightCurve, TIMES, np.array([10.0, np.nan]), columns, {"entry": 3})
    curve.write(tmp_path / "curve.ecsv")
    for read in (TimeSeries.read(tmp_path / "curve.ecsv", time_column="time"), QTable.read(tmp_path / "curve.ecsv")):
        assert read["f_int"].unit == units.Jy
        assert read["f_int"].info.meta == curve["f_int"].info.meta
        assert read.meta["entry"] == 3
        assert (Time(read["time"]) == curve.time).all()
        assert (read["when"] == curve["when"]).all()
        assert read["text"].mask.tolist() == [False, True]


def test_data_frame_has_plain_numbers_and_units(columns):
    frame = as_results(columns, {}).to_pandas()
    assert frame["f_int"].tolist()[0] == 1.5
    assert frame.attrs["units"] == {"ra": "deg", "decl": "deg", "f_int": "Jy", "size": "pix"}
    assert frame["when"].tolist()[1].isoformat() == "2026-01-01T00:00:01.000250"
    curve = as_series(LightCurve, TIMES, np.array([10.0, 0.0]), columns, {}).to_pandas()
    assert curve.index.name == "time"
    assert curve.index[0].isoformat() == "2026-01-01T00:00:05"


def test_times_become_text_for_votables(columns, tmp_path):
    curve = as_series(LightCurve, TIMES, np.array([10.0, 0.0]), columns, {"entry": 3})
    curve.with_text_times().write(tmp_path / "curve.vot", format="votable")
    read = Table.read(tmp_path / "curve.vot")
    assert read["time"].tolist() == ["2026-01-01T00:00:05.000000", "2026-01-01T00:00:01.000250"]
    assert read["f_int"].unit == units.Jy
    assert read["f_int"].meta["ucd"] == "phot.flux.density;em.radio"
    missing = as_results({"t": described(np.array(["2026-01-01", "NaT"], "M8[us]"))}, {}).with_text_times()
    assert missing["t"].tolist() == ["2026-01-01T00:00:00", ""]


def test_table_is_written_as_fits(columns, tmp_path):
    as_results(columns, {"dataset": 7}).write(tmp_path / "table.fits")
    read = Table.read(tmp_path / "table.fits", astropy_native=True)
    assert (read["f_int"].unit, read.meta["DATASET"]) == (units.Jy, 7)
    assert read["when"].isot.tolist() == ["2026-01-01T00:00:00.000", "2026-01-01T00:00:01.000"]


def test_stokes_parameters_keep_their_codes():
    codes = [1, 4, -5, 9, 0]
    letters = np.array([stokes_letter(code) for code in codes], object)
    assert stokes_codes(letters).tolist() == stokes_codes(letters.astype(str)).tolist() == codes
    assert stokes_codes(letters[:0]).tolist() == []


def test_missing_pandas_is_named(columns, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError, match=r"require pandas: pip install 'trap-transients\[pandas\]'"):
        as_results(columns, {}).to_pandas()


def test_texts_are_escaped_in_a_notebook():
    table = as_results({"url": described(np.array(["<script>alert(1)</script>"], object))}, {})
    assert "<script>" not in table._repr_html_()
    assert "&lt;script&gt;" in table._repr_html_()
