"""Errors that are missing or impossible: refused by column and row, computed by Condon's formulas, or rounded."""

from __future__ import annotations

import numpy as np
import pytest

from tests.real_images import DATA, WITHOUT
from tests.source_lists.finder_lists import (
    BEAM,
    PLAIN_COLUMNS,
    aegean_csv,
    aegean_table,
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
from trap.catalogues import Flag
from trap.config import SourceListConfig
from trap.errors import SourceListError
from trap.images.beam import Beam
from trap.source_lists.read import read_source_list

SKY = make_sky()
ARCSEC = 1 / 3600
CONDON = {"errors": "condon"}


def read(tmp_path, content, *, metadata=None, noise=None, **changes):
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    return read_source_list(str(path), SourceListConfig(**changes), metadata or make_metadata(), noise=noise)


def bright_sky(signal=3000.0):
    """A sky of sources so bright that Selavy prints their position errors as zero."""
    sky = make_sky()
    return sky.__class__(
        **{
            **sky.__dict__,
            "f_peak": sky.rms * signal,
            "f_int": sky.rms * signal,
            "ew_err": sky.semimajor / signal * ARCSEC,
            "ns_err": sky.semiminor / signal * ARCSEC,
        }
    )


@pytest.mark.parametrize("write", [selavy_text, selavy_votable])
def test_error_that_is_printed_as_zero_is_half_a_unit_of_the_last_digit(tmp_path, write):
    sky = bright_sky()  # errors of 2 mas are printed as 0.00 arcsec

    found = read(tmp_path, write(sky))

    np.testing.assert_allclose(found.measurements.ew_fit_err, 0.005 * ARCSEC)
    np.testing.assert_allclose(found.measurements.ns_fit_err, 0.005 * ARCSEC)
    np.testing.assert_allclose(found.measurements.f_peak_err, sky.f_peak_err, atol=1e-9)
    assert found.notices == (
        "12 errors of column ra_err are printed as zero: half a unit of the last digit is used",
        "12 errors of column dec_err are printed as zero: half a unit of the last digit is used",
    )


def test_zero_that_the_noise_forbids_is_a_missing_error(tmp_path):
    # At a signal-to-noise ratio of 10, the position is known to some 0.5 arcsec, which is not printed as 0.00.
    row = int(np.argmin(SKY.f_peak / SKY.rms))
    zero = SKY.__class__(**{**SKY.__dict__, "ew_err": np.where(np.arange(12) == row, 0.0, SKY.ew_err)})

    with pytest.raises(SourceListError) as raised:
        read(tmp_path, selavy_text(zero))

    assert SKY.f_peak[row] / SKY.rms[row] < 12
    assert str(raised.value) == (
        f"{tmp_path}/list.txt: column ra_err, row {row + 1} (line {row + 3}): 0 is no error; correct the list, or let "
        '[source_lists] errors = "condon" compute these errors'
    )


def test_zero_without_decimals_is_a_missing_error(tmp_path):
    table = plain_table(bright_sky())
    table["e_Si"] = np.zeros(12, int) * table["e_Si"].unit

    with pytest.raises(SourceListError, match=r"column e_Si, row 1 \(line \d+\): 0 is no error \(12 such rows\)"):
        read(tmp_path, table_bytes(table, "ascii.ecsv"), columns=PLAIN_COLUMNS)


@pytest.mark.skipif(not DATA.is_dir(), reason=WITHOUT)
@pytest.mark.parametrize(("epoch", "n_sources"), [(1, 4), (2, 7), (3, 4), (4, 5)])
def test_real_selavy_lists_are_read_with_the_default_settings(epoch, n_sources):
    centre = {"centre_ra": 150.0, "centre_dec": -30.0, "nx": 256, "ny": 256}
    metadata = make_metadata(beam=Beam(bmaj=15 / 3600, bmin=10 / 3600, bpa=0.0), **centre)
    path = DATA / "vast_simulated" / f"epoch0{epoch}.selavy.components.txt"

    found = read_source_list(str(path), SourceListConfig(), metadata)

    assert len(found.measurements) == n_sources
    assert found.measurements.is_sound.all()
    np.testing.assert_allclose(found.measurements.ew_fit_err, 0.005 * ARCSEC)
    np.testing.assert_allclose(found.measurements.f_int, np.round(found.measurements.f_int), rtol=0.01)  # 1, 2 or 3 Jy


@pytest.mark.parametrize("value", [np.nan, 0.0, -1e-5, np.inf])
@pytest.mark.parametrize("name", ["ew_err", "ns_err", "f_peak_err", "f_int_err"])
def test_impossible_error_is_refused_with_its_row_and_the_number_of_rows(tmp_path, name, value):
    column = {"ew_err": "E_RA", "ns_err": "E_DEC", "f_peak_err": "E_Peak_flux", "f_int_err": "E_Total_flux"}[name]
    values = getattr(SKY, name).copy()
    values[[2, 7]] = value
    sky = SKY.__class__(**{**SKY.__dict__, name: values})

    with pytest.raises(SourceListError) as raised:
        read(tmp_path, pybdsf_fits(sky))

    assert str(raised.value) == (
        f"{tmp_path}/list.txt: column {column}, row 3: {value:g} is no error (2 such rows); correct the list, or let "
        '[source_lists] errors = "condon" compute these errors'
    )


def test_column_of_errors_that_is_missing_is_refused_with_the_setting(tmp_path):
    table = aegean_table(SKY)
    table.remove_column("err_int_flux")

    with pytest.raises(SourceListError) as raised:
        read(tmp_path, table_bytes(table, "ascii.csv"))

    assert raised.value.message == (
        "there is no column 'err_int_flux' for f_int_err; name it by [source_lists] columns = "
        '{ f_int_err = "…" }, or let errors = "condon" compute it'
    )


def test_condon_errors_of_a_source_like_the_beam(tmp_path):
    # With the axes of the beam, ρ² of Condon's eq. 41 is (1/4)(1 + 1)³ (S/N)² = 2 (S/N)² for all powers. Then eq. 21
    # gives σ_peak = √2 S/ρ = rms, σ along an axis = θ/(√(8 ln 2)) √2/ρ with θ the full width, and eq. 35 gives
    # (σ_int/S)² = 2/ρ² + 2/ρ² + 2/ρ² = 3 / (S/N)².
    n = len(SKY)
    width = {"semimajor": np.full(n, BEAM.bmaj / 2 / ARCSEC), "semiminor": np.full(n, BEAM.bmin / 2 / ARCSEC)}
    sky = SKY.__class__(**{**SKY.__dict__, **width, "f_int": SKY.f_peak, "pa": np.full(n, 90.0)})
    table = aegean_table(sky)
    table.remove_columns(["err_ra", "err_dec", "err_peak_flux", "err_int_flux"])
    signal = SKY.f_peak / SKY.rms
    along = 1 / (np.sqrt(8 * np.log(2)) * signal)

    with pytest.raises(SourceListError, match='errors = "condon"'):
        read(tmp_path, table_bytes(table, "ascii.csv"), format="aegean")
    found = read(tmp_path, table_bytes(table, "ascii.csv"), format="aegean", **CONDON)

    np.testing.assert_allclose(found.measurements.f_peak_err, SKY.rms, rtol=1e-9)
    np.testing.assert_allclose(found.measurements.f_int_err, np.sqrt(3) * SKY.rms, rtol=1e-9)
    np.testing.assert_allclose(
        found.measurements.ew_fit_err, BEAM.bmaj * along, rtol=1e-9
    )  # the major axis points east
    np.testing.assert_allclose(found.measurements.ns_fit_err, BEAM.bmin * along, rtol=1e-9)
    assert found.notices == ("errors of 12 sources are computed by Condon's formulas",)


def test_only_missing_errors_are_computed(tmp_path):
    errors = np.where(np.arange(12) == 5, -1.0, SKY.ew_err)
    sky = SKY.__class__(**{**SKY.__dict__, "ew_err": errors})

    found = read(tmp_path, aegean_csv(sky), **CONDON).measurements

    others = np.arange(12) != 5
    np.testing.assert_allclose(found.ew_fit_err[others], SKY.ew_err[others])
    np.testing.assert_allclose(found.ns_fit_err, SKY.ns_err)
    assert 0.2 < found.ew_fit_err[5] / SKY.ew_err[5] < 3
    assert found.is_sound.all()


def test_condon_errors_need_a_beam_and_noise(tmp_path):
    content = pyse_csv(SKY).replace(b"ra_err", b"no_err", 1).replace(b", sig,", b", other,")
    content = content.replace(b" peak_err,", b" no_peak_err,")
    own = {"format": "pyse", **CONDON}

    with pytest.raises(SourceListError, match="need the restoring beam, and the image has none"):
        read(tmp_path, content, metadata=make_metadata(beam=None), **own)
    with pytest.raises(SourceListError, match=r"need the local noise, and row 1 \(line 2\) has none \(12 such rows\)"):
        read(tmp_path, content, **own)
    found = read(tmp_path, content, noise=lambda ra, _: np.full(len(ra), 1e-4), **own)

    assert (found.measurements.rms == 1e-4).all()
    assert found.measurements.is_sound.all()


def test_condon_errors_of_positions_take_the_error_of_the_peak_as_noise(tmp_path):
    content = pyse_csv(SKY).replace(b"ra_err", b"no_err", 1).replace(b", sig,", b", other,")

    found = read(tmp_path, content, format="pyse", **CONDON).measurements

    assert found.is_sound.all()
    np.testing.assert_array_equal(found.rms, found.f_peak_err)
    ratio = found.ew_fit_err / SKY.ew_err
    assert 0.2 < ratio.min() < ratio.max() < 3


def test_missing_noise_is_the_error_of_the_peak(tmp_path):
    content = pyse_csv(SKY).replace(b", sig,", b", other,")

    found = read(tmp_path, content, format="pyse")

    np.testing.assert_array_equal(found.measurements.rms, found.measurements.f_peak_err)
    np.testing.assert_allclose(found.measurements.significance, SKY.f_peak / SKY.f_peak_err, rtol=0.01)
    assert found.notices == ("12 sources have no local noise: the error of the peak is used",)


def test_noise_map_fills_the_rows_without_noise(tmp_path):
    rms = np.where(np.arange(12) < 2, 0.0, SKY.rms)
    sky = SKY.__class__(**{**SKY.__dict__, "rms": rms})

    found = read(tmp_path, pybdsf_fits(sky), noise=lambda ra, dec: np.where(dec > 0, 3e-4, np.nan) + 0 * ra)

    assert (found.measurements.rms[:2] == 3e-4).all()
    np.testing.assert_array_equal(found.measurements.rms[2:], SKY.rms[2:])


def test_error_of_a_source_at_ra_zero_goes_around_the_circle(tmp_path):
    # PySE subtracts right ascensions: across RA 0 an error of 0.0001 deg becomes 359.9999 deg.
    lines = pyse_csv(SKY).decode().splitlines()
    cells = lines[4].split(", ")
    cells[lines[0].split(", ").index("ra_err")] = "359.999900"
    lines[4] = ", ".join(cells)

    found = read(tmp_path, "\n".join(lines).encode()).measurements

    assert found.ew_fit_err[3] == pytest.approx(1e-4 * np.cos(np.radians(SKY.dec[3])), rel=1e-6)


@pytest.mark.parametrize("bit", [2, 16, 32])
def test_component_that_aegean_did_not_fit_is_stored_without_errors_and_not_associated(tmp_path, bit):
    table = aegean_table(SKY)
    table["flags"][4] = bit | 4
    for name in ("err_ra", "err_dec", "err_peak_flux", "err_int_flux"):
        table[name][4] = -1

    found = read(tmp_path, table_bytes(table, "ascii.csv"))

    measured = found.measurements
    assert measured.flags[4] == int(Flag.FIT_FAILED | Flag.POINT_LIKE)
    assert np.isnan([measured.ew_fit_err[4], measured.f_peak_err[4], measured.f_int_err[4]]).all()
    assert measured.is_sound.tolist() == [i != 4 for i in range(12)]
    assert found.left_out == {"fit failed, by the finder": 1}


def test_estimate_of_selavy_is_a_failed_fit(tmp_path):
    lines = selavy_text(SKY).decode().splitlines()
    place = lines[0].index("fit_is_estimate") + len("fit_is_estimate") - 1
    lines[5] = f"{lines[5][:place]}1{lines[5][place + 1 :]}"

    found = read(tmp_path, "\n".join(lines).encode()).measurements

    assert (found.flags & int(Flag.FIT_FAILED) > 0).tolist() == [i == 3 for i in range(12)]


def test_island_without_a_gaussian_is_a_failed_fit(tmp_path):
    lines = pybdsf_text(SKY, "srl").decode().splitlines()
    for line in (10, 11):  # both have the same number, since they are no sources
        cells = lines[line].split(", ")
        lines[line] = ", ".join(["  -1", *cells[1:]])

    found = read(tmp_path, "\n".join(lines).encode()).measurements

    assert (found.flags & int(Flag.FIT_FAILED) > 0).tolist() == [i in (4, 5) for i in range(12)]


def test_integrated_flux_densities_alone_are_point_sources(tmp_path):
    columns = {name: PLAIN_COLUMNS[name] for name in ("ra", "dec", "ew_fit_err", "ns_fit_err", "f_int", "f_int_err")}

    found = read(tmp_path, table_bytes(plain_table(SKY), "fits"), columns=columns)

    measured = found.measurements
    np.testing.assert_allclose(measured.f_peak, SKY.f_int)
    np.testing.assert_allclose(measured.f_peak_err, SKY.f_int_err)
    np.testing.assert_allclose(measured.semimajor, BEAM.bmaj / 2 / ARCSEC)
    np.testing.assert_allclose(measured.pa, BEAM.bpa)
    assert len(found.notices) == 3  # shapes, peaks and noise are assumed


def test_peak_follows_from_the_shape_of_a_resolved_source(tmp_path):
    names = ("ra", "dec", "ew_fit_err", "ns_fit_err", "f_int", "f_int_err", "major", "minor", "pa", "rms")

    found = read(tmp_path, table_bytes(plain_table(SKY), "fits"), columns={name: PLAIN_COLUMNS[name] for name in names})

    # The sky has f_int = f_peak × the ratio of the areas of source and beam.
    np.testing.assert_allclose(found.measurements.f_peak, SKY.f_peak, rtol=1e-9)
    np.testing.assert_allclose(found.measurements.f_peak_err, SKY.f_int_err * SKY.f_peak / SKY.f_int, rtol=1e-9)
