from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.votable.ucd import check_ucd
from astropy.table import Table

from trap.catalogues import Measurements
from trap.report.source_columns import source_columns
from trap.report.source_files import UCDS, write_fits_table, write_votable

SOURCES = Measurements.of(
    x=[10.0, 20.0], y=1, ra=[0.5, 15.0], dec=10, ew_fit_err=1e-4, ns_fit_err=2e-4, f_peak=[0.5, np.nan], f_peak_err=1,
    f_int=1, f_int_err=1, rms=1, significance=1, semimajor=6, semiminor=5, pa=10, flags=[0, 16],
)  # fmt: skip
ABOUT = {"image": "é.fits", "det_thr": 5.0}


@pytest.fixture(params=["votable", "fits"])
def written(request, tmp_path):
    """A table written and read back."""
    path, write = tmp_path / "table", {"votable": write_votable, "fits": write_fits_table}[request.param]
    for _ in range(2):  # the second replaces the first
        write(path, source_columns([SOURCES], ["né", ""]), ABOUT)
    return Table.read(path, format=request.param)


def test_values_survive(written):
    for name, values in SOURCES.as_dict().items():
        assert [np.nan if np.ma.is_masked(value) else value for value in written[name]] == pytest.approx(
            values.tolist(), nan_ok=True
        )
        assert written[name].dtype.newbyteorder("=") == values.dtype


def test_units_are_those_of_the_table(written):
    for name, column in SOURCES.columns().items():
        assert written[name].unit == (column.unit or None)


def test_votable_says_what_columns_mean(tmp_path):
    write_votable(tmp_path / "t.vot", source_columns([SOURCES]), ABOUT)
    table = Table.read(tmp_path / "t.vot", format="votable")
    assert "name" not in table.colnames
    assert table["f_peak"].description == SOURCES.columns()["f_peak"].doc
    assert table["ra"].meta["ucd"] == "pos.eq.ra;meta.main"
    assert "det_thr 5.0" in table.meta["description"]


def test_fits_says_what_columns_mean(tmp_path):
    write_fits_table(tmp_path / "t.fits", source_columns([SOURCES]), ABOUT)
    header = fits.getheader(tmp_path / "t.fits", 1)
    number = 1 + list(SOURCES.columns()).index("ns_fit_err")
    assert header[f"TCOMM{number}"] == "1sigma error of the fit along north-south."
    assert header[f"TUCD{number}"] == "stat.error;pos.eq.dec"
    assert (header["IMAGE"], header["DET_THR"]) == ("?.fits", 5.0)


def test_ucds_are_words_of_the_vocabulary():
    assert {name: check_ucd(ucd, check_controlled_vocabulary=True) for name, ucd in UCDS.items()} == dict.fromkeys(
        UCDS, True
    )


def test_empty_table_is_a_table(tmp_path):
    columns = source_columns([Measurements.empty()])
    write_votable(tmp_path / "t.vot", columns, {})
    write_fits_table(tmp_path / "t.fits", columns, {})
    assert len(Table.read(tmp_path / "t.vot", format="votable")) == len(Table.read(tmp_path / "t.fits")) == 0
