"""Each finder's list of one simulated sky gives the same sources, within the digits that it prints."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from tests.source_lists.finder_lists import (
    PLAIN_COLUMNS,
    PLAIN_UNITS,
    aegean_csv,
    aegean_fits,
    aegean_votable,
    casda_csv,
    make_metadata,
    make_sky,
    plain_table,
    pybdsf_fits,
    pybdsf_text,
    pyse_csv,
    selavy_text,
    selavy_votable,
    table_bytes,
)
from trap.angles import delta_ra
from trap.catalogues import Flag
from trap.config import SourceListConfig
from trap.source_lists.read import read_source_list

SKY = make_sky()
ARCSEC = 1 / 3600
# Half a unit of the last printed digit of positions, position errors, flux densities, semi-axes and angles.
SELAVY = {"position": 5e-7, "error": 0.005 * ARCSEC, "flux": 5e-10, "axis": 0.0025, "angle": 0.005}
EXACT = {"position": 1e-13, "error": 1e-13, "flux": 1e-13, "axis": 1e-9, "angle": 1e-9}
SINGLE = {"position": 2e-5, "error": 1e-9, "flux": 1e-8, "axis": 1e-6, "angle": 1e-5}
PYSE = {"position": 5e-7, "error": 5e-7, "flux": 5e-7, "axis": 5e-7, "angle": 5e-7}
# Single precision is enough for the errors and flux densities of Selavy's VOTable.
SELAVY_VOTABLE = SELAVY | {"error": 0.00501 * ARCSEC, "flux": 3e-9, "axis": 0.00251, "angle": 0.0051}

LISTS = {
    "selavy text": ("selavy", selavy_text(SKY), SELAVY),
    "selavy votable": ("selavy", selavy_votable(SKY), SELAVY_VOTABLE),
    "casda csv": ("selavy", casda_csv(SKY), SELAVY),
    "pybdsf gaul fits": ("pybdsf", pybdsf_fits(SKY, "gaul"), EXACT),
    "pybdsf srl fits": ("pybdsf", pybdsf_fits(SKY, "srl"), EXACT),
    "pybdsf gaul csv": ("pybdsf", pybdsf_text(SKY, "gaul"), EXACT),
    "pybdsf srl csv": ("pybdsf", pybdsf_text(SKY, "srl"), EXACT),
    "pybdsf srl ascii": ("pybdsf", pybdsf_text(SKY, "srl", " "), EXACT),
    "aegean csv": ("aegean", aegean_csv(SKY), EXACT),
    "aegean fits": ("aegean", aegean_fits(SKY), SINGLE),
    "aegean votable": ("aegean", aegean_votable(SKY), EXACT),
    "pyse csv": ("pyse", pyse_csv(SKY), PYSE),
    "former pyse csv": ("pyse", pyse_csv(SKY, former=True), PYSE),
}


def read(tmp_path, content, **changes):
    path = tmp_path / "list.of.sources"
    path.write_bytes(content)
    return read_source_list(str(path), SourceListConfig(**changes), make_metadata())


def check_sources(found, sky, digits):
    def assert_near(name, values, expected, kind):
        np.testing.assert_allclose(values, expected, rtol=1e-12, atol=digits[kind] * 1.001, err_msg=name)

    assert_near("ra", delta_ra(found.ra, sky.ra), 0, "position")
    assert_near("dec", found.dec, sky.dec, "position")
    assert_near("east-west", found.ew_fit_err, sky.ew_err, "error")
    assert_near("north-south", found.ns_fit_err, sky.ns_err, "error")
    for name in ("f_peak", "f_peak_err", "f_int", "f_int_err"):
        assert_near(name, getattr(found, name), getattr(sky, name), "flux")
    assert_near("semimajor", found.semimajor, sky.semimajor, "axis")
    assert_near("semiminor", found.semiminor, sky.semiminor, "axis")
    assert_near("pa", found.pa, sky.pa, "angle")
    # PySE's noise is the peak over the significance, both with six decimals.
    np.testing.assert_allclose(found.rms, sky.rms, rtol=1e-3)
    np.testing.assert_allclose(found.significance, sky.f_peak / sky.rms, rtol=1e-3)
    assert (found.fit_type == 1).all()
    assert (found.extract_type == 0).all()
    assert ((found.ra >= 0) & (found.ra < 360)).all()
    assert found.is_sound.all()


@pytest.mark.parametrize("name", LISTS)
def test_list_of_each_finder_gives_the_same_sky(tmp_path, name):
    finder, content, digits = LISTS[name]

    found = read(tmp_path, content)

    assert found.finder == finder
    check_sources(found.measurements, SKY, digits)
    assert found.left_out == {}


@pytest.mark.parametrize("name", LISTS)
def test_islands_are_kept_and_their_members_are_blended(tmp_path, name):
    finder, content, _ = LISTS[name]

    found = read(tmp_path, content).measurements

    if finder == "pyse":  # its lists have no islands
        assert found.island.tolist() == list(range(1, len(SKY) + 1))
        assert not found.flags.any()
    else:
        assert found.island.tolist() == SKY.island.tolist()
        assert (found.flags == np.where(SKY.island == 1, int(Flag.BLENDED), 0)).all()


@pytest.mark.parametrize("name", ["pybdsf gaul fits", "pyse csv", "pybdsf gaul csv"])
def test_pixel_positions_of_a_list_are_kept(tmp_path, name):
    found = read(tmp_path, LISTS[name][1]).measurements

    np.testing.assert_allclose(found.x, SKY.x, atol=1e-6)
    np.testing.assert_allclose(found.y, SKY.y, atol=1e-6)


def test_list_without_pixel_positions_has_none(tmp_path):
    found = read(tmp_path, LISTS["selavy text"][1]).measurements

    assert np.isnan(found.x).all()
    assert np.isnan(found.y).all()


@pytest.mark.parametrize("form", ["ascii.ecsv", "votable", "fits", "parquet"])
def test_table_with_named_columns_uses_the_units_of_the_file(tmp_path, form):
    if form == "parquet":
        pytest.importorskip("pyarrow")
        path = tmp_path / "table.parquet"
        plain_table(SKY).write(path, format="parquet")
        content = path.read_bytes()
    else:
        content = table_bytes(plain_table(SKY), form)

    found = read(tmp_path, content, columns=PLAIN_COLUMNS)

    assert found.finder == "table"
    check_sources(found.measurements, SKY, EXACT)


def test_table_without_units_uses_the_units_of_the_settings(tmp_path):
    content = table_bytes(plain_table(SKY), "ascii.csv")

    found = read(tmp_path, content, columns=PLAIN_COLUMNS, units=PLAIN_UNITS)

    check_sources(found.measurements, SKY, EXACT)


def test_units_of_a_heading_in_brackets_are_used(tmp_path):
    table = plain_table(SKY)
    for quantity, unit in PLAIN_UNITS.items():
        table.rename_column(PLAIN_COLUMNS[quantity], f"{PLAIN_COLUMNS[quantity]} [{unit}]")

    found = read(tmp_path, table_bytes(table, "ascii.csv"), columns=PLAIN_COLUMNS)

    check_sources(found.measurements, SKY, EXACT)


def test_unit_of_the_file_overrides_the_unit_of_the_finder(tmp_path):
    # Selavy's heading with fluxes in Jy: the same numbers are a thousand times as bright.
    lines = selavy_text(SKY).decode().splitlines()
    lines[1] = lines[1].replace("[mJy/beam]", " [Jy/beam]").replace("[mJy]", " [Jy]")

    found = read(tmp_path, "\n".join(lines).encode()).measurements

    np.testing.assert_allclose(found.f_peak, 1e3 * SKY.f_peak, atol=5e-7)
    np.testing.assert_allclose(found.f_int, 1e3 * SKY.f_int, atol=5e-7)


def test_columns_of_the_settings_replace_columns_of_a_finder(tmp_path):
    found = read(tmp_path, pybdsf_fits(SKY, "srl"), columns={"ra": "RA_max", "dec": "DEC_max"})

    assert found.finder == "pybdsf"
    np.testing.assert_allclose(delta_ra(found.measurements.ra, SKY.ra), 1e-4, atol=1e-9)
    np.testing.assert_allclose(found.measurements.dec - SKY.dec, 1e-4, atol=1e-9)


def test_list_compressed_by_gzip_is_read(tmp_path):
    content = selavy_text(SKY)

    plain, compressed = read(tmp_path, content), read(tmp_path, gzip.compress(content))

    assert (plain.measurements.f_int == compressed.measurements.f_int).all()
    assert plain.content_hash != compressed.content_hash  # of the bytes of the file, as for images


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("selavy", b"\n".join(selavy_text(SKY).splitlines()[:2]) + b"\n"),
        ("selavy", casda_csv(SKY).splitlines(keepends=True)[0]),
        ("pybdsf", pybdsf_text(make_sky(0), "srl")),
        ("aegean", aegean_csv(SKY).splitlines(keepends=True)[0]),
        ("pyse", pyse_csv(SKY).splitlines(keepends=True)[0]),
    ],
)
def test_heading_without_rows_is_an_image_without_sources(tmp_path, name, content):
    found = read(tmp_path, content)

    assert found.finder == name
    assert len(found.measurements) == 0
