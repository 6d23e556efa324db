"""Reference catalogues from files of all formats."""

from __future__ import annotations

import gzip
import io

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, Table

from trap.calibration.reference import load_reference, load_references
from trap.config import CalibrationConfig
from trap.errors import ConfigError

RA, DEC, FLUX = np.array([10.5, 359.9, 200.25]), np.array([-30.0, 0.5, 89.0]), np.array([0.010, 0.2, 3.0])


def write(path, table, form, **options):
    table.write(path, format=form, **options)
    return path


def text(path, content):
    path.write_text(content, encoding="utf-8")
    return path


def survey():
    """Three sources as a survey gives them: mJy, errors in arcsec, a spectral index for one of them."""
    return Table(
        {
            "Name": ["a", "b", "c"],
            "RAJ2000": MaskedColumn(RA, unit="deg"),
            "DEJ2000": MaskedColumn(DEC, unit="deg"),
            "e_RAJ2000": MaskedColumn([0.36, 0.72, 0.36], unit="arcsec"),
            "e_DEJ2000": MaskedColumn([0.72, 0.72, 0.36], unit="arcsec"),
            "S1.4": MaskedColumn(FLUX * 1000, unit="mJy"),
            "e_S1.4": MaskedColumn([1.0, 2.0, 0.0], unit="mJy"),
            "SpIndex": MaskedColumn([0.0, -2.0, 7.0], mask=[False, False, True]),
        }
    )


@pytest.mark.parametrize(
    ("form", "suffix"), [("votable", "xml"), ("fits", "fits"), ("fits", "dat.gz"), ("ascii.ecsv", "ecsv")]
)
def test_catalogue_of_a_survey_is_read_with_its_units(tmp_path, form, suffix):
    path = tmp_path / f"survey.{suffix}"
    if suffix.endswith("gz"):
        write(tmp_path / "plain.fits", survey(), form)
        path.write_bytes(gzip.compress((tmp_path / "plain.fits").read_bytes()))
    else:
        write(path, survey(), form)
    catalogue = load_reference(path)
    sources = catalogue.sources
    # In order of declination, as the sources are here.
    np.testing.assert_allclose(sources.ra, RA)
    np.testing.assert_allclose(sources.dec, DEC)
    np.testing.assert_allclose(sources.f_int, FLUX)
    np.testing.assert_allclose(sources.f_int_err, [0.001, 0.002, 0.0])
    assert catalogue.assumed == ()
    positions = load_reference(path, has_flux=False).sources
    np.testing.assert_allclose([positions.ew_err, positions.ns_err], [[1e-4, 2e-4, 1e-4], [2e-4, 2e-4, 1e-4]])


def test_parquet_is_read_with_the_units_that_astropy_writes(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet  # noqa: PLC0415

    table = pyarrow.table({"ra": RA, "dec": DEC, "int_flux": FLUX * 1000, "err_int_flux": [1.0, None, 3.0]})
    units = b"datatype:\n- {name: int_flux, unit: mJy, datatype: float64}"
    parquet.write_table(table.replace_schema_metadata({b"table_meta_yaml": units}), tmp_path / "x.parquet")
    catalogue = load_reference(tmp_path / "x.parquet", columns=("flux_err=err_int_flux [mJy]",))
    np.testing.assert_allclose(catalogue.sources.f_int, FLUX)
    np.testing.assert_allclose(catalogue.sources.f_int_err, [0.001, 0, 0.003])


def test_parquet_without_its_package_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and more")
    message = r"x.parquet: Parquet files require pyarrow: pip install 'trap-transients\[parquet\]'"
    with pytest.raises(ConfigError, match=message):
        load_reference(tmp_path / "x.parquet")


def test_text_without_units_is_in_degrees_and_jansky_and_this_is_stated(tmp_path):
    catalogue = load_reference(text(tmp_path / "x.csv", "id,RA,Dec,Total_flux\n1,10.5,-30,0.01\n2,-0.1,0.5,0.2\n"))
    np.testing.assert_allclose(catalogue.sources.ra, [10.5, 359.9])
    np.testing.assert_allclose(catalogue.sources.f_int, [0.01, 0.2])
    np.testing.assert_array_equal(catalogue.sources.f_int_err, [0, 0])
    assert catalogue.assumed == ("RA in deg", "Dec in deg", "Total_flux in Jy")


@pytest.mark.parametrize(
    "content",
    [
        "ra [deg],dec (deg),flux [mJy]\n150,2,20\n",
        "# a comment\nra\tdec\tflux [mJy]\n10:00:00\t+02:00:00\t20\n",
        "ra;dec;flux [uJy]\n10h00m00.0s;2d00m00s;20000\n",
        "ra [h],dec,flux\n10,2,0.02\n",
        "ra  dec  flux\n150  2  0.02\n",
        '\ufeffra,dec,flux\n"10 00 00","+02 00 00",0.02\n',
    ],
)
def test_forms_of_text(tmp_path, content):
    sources = load_reference(text(tmp_path / "x.csv", content)).sources
    np.testing.assert_allclose([sources.ra[0], sources.dec[0], sources.f_int[0]], [150, 2, 0.02])


@pytest.mark.parametrize("declination", [-0.5, 0.5, -30.123])
def test_sexagesimal_positions_equal_those_of_astropy(tmp_path, declination):
    place = SkyCoord(187.7059, declination, unit="deg")
    ra, dec = place.to_string("hmsdms", sep=":", precision=6).split()
    sources = load_reference(text(tmp_path / "x.csv", f"ra,dec,flux\n{ra},{dec},1\n")).sources
    np.testing.assert_allclose([sources.ra[0], sources.dec[0]], [187.7059, declination], atol=1e-8)


def test_error_of_right_ascension_in_seconds_of_time_becomes_a_true_angle(tmp_path):
    table = Table({"ra": [10.0], "dec": [60.0], "e_ra": [0.01], "flux": [1.0]}, units={"e_ra": "s"})
    sources = load_reference(write(tmp_path / "x.vot", table, "votable"), has_flux=False).sources
    assert sources.ew_err[0] * 3600 == pytest.approx(0.01 * 15 * 0.5)


def test_bad_rows_are_left_out_and_counted(tmp_path):
    rows = "1,1,1\nnan,1,1\n1,95,1\n400,1,1\n1,1,0\n1,1,-2\n1,1,\n1,1,nan\n2,-1,2\n1,1,inf\n"
    catalogue = load_reference(text(tmp_path / "x.csv", f"ra,dec,flux\n{rows}"))
    assert catalogue.n_left_out == 8
    np.testing.assert_array_equal(catalogue.sources.row, [8, 0])


def test_positions_need_no_flux_density(tmp_path):
    catalogue = load_reference(text(tmp_path / "x.csv", "ra,dec\n1,2\n"), has_flux=False)
    assert np.isnan(catalogue.sources.f_int[0])


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("x,dec,flux\n1,1,1\n", {}, r'no column has a common name of ra; name it by S = \["ra=…"\]; .* x, dec, flux'),
        ("ra,dec,flux\n1,1,1\n", {"columns": ("flux=S",)}, r"no column S \(S: flux\); the columns are ra, dec, flux"),
        ("ra,dec,S1,S2\n1,1,1,1\n", {}, "no column has a common name of flux"),
        ("ra,dec,flux [m]\n1,1,1\n", {}, r'flux has the unit \'m\', not of a flux density; .*\["flux=flux \[Jy\]"\]'),
        ("ra,dec,flux\n1,1,abc\n", {}, "none of its 1 rows has a position and a positive flux density"),
        ("ra,dec,e_ra,flux\n1,1,0.3,1\n", {"has_flux": False}, r"no unit, and 0.3 deg .*\"ra_err=e_ra \[arcsec\]\""),
        ("", {}, "the file is empty"),
        ("# only a comment\n", {}, "without a line of headings"),
        ("<html><body>Not found</body></html>", {}, "not a VOTable, nor a FITS, CSV, ECSV or Parquet file"),
        ("<VOTABLE><RESOURCE>", {}, "cannot read the catalogue"),
        ("SIMPLE  =                    T", {}, "x.csv: "),
    ],
)
def test_unusable_file_is_named_with_the_setting_and_its_columns(tmp_path, content, options, message):
    path = text(tmp_path / "x.csv", content)
    with pytest.raises(ConfigError, match=message) as caught:
        load_reference(path, setting="S", **options)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", ["fits", "votable", "ascii.ecsv", "ascii.csv", "gzip"])
def test_damaged_file_is_an_error_in_one_line(tmp_path, form):
    path = write(tmp_path / "x", survey(), "fits" if form == "gzip" else form)
    whole = gzip.compress(path.read_bytes()) if form == "gzip" else path.read_bytes()
    rng = np.random.default_rng(7)
    n_refused = 0
    for number in range(20):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[rng.integers(0, len(whole), 5)] = rng.integers(0, 256, 5)
        path.write_bytes(damaged[: rng.integers(1, len(whole)) if number % 2 else None].tobytes())
        try:
            load_reference(path)
        except ConfigError as error:
            n_refused += 1
            assert "\n" not in str(error)  # noqa: PT017 (some damage does not matter)
    assert n_refused


def test_flux_densities_are_converted_by_the_spectral_index_of_each_source(tmp_path):
    path = write(tmp_path / "x.fits", survey(), "fits")
    catalogue = load_reference(path, columns=("spectral_index=SpIndex",), frequency=1.4e9, spectral_index=-1.0)
    # At half the frequency: α = 0, −2, and −1 where the table has no value.
    for centre, factor, number in (((10.5, -30), 1.0, 0), ((0, 0), 4.0, 1), ((0, 90), 2.0, 2)):
        near = catalogue.near(centre, 2.0, frequency=0.7e9)
        assert near.f_int == pytest.approx([factor * FLUX[number]])
        assert near.f_int_err == pytest.approx([factor * [0.001, 0.002, 0.0][number]])
    assert catalogue.near((0, 0), 2.0).f_int == pytest.approx([0.2])


def test_field_has_all_sources_within_its_radius_and_no_others(tmp_path):
    rng = np.random.default_rng(3)
    ra, dec = rng.uniform(0, 360, 20_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 20_000)))
    path = write(tmp_path / "x.fits", Table({"ra": ra, "dec": dec}), "fits")
    catalogue = load_reference(path, has_flux=False)
    places = SkyCoord(ra, dec, unit="deg")
    for centre, radius in (((0.1, 0), 5.0), ((120, 88), 4.0), ((200, -90), 10.0), ((1, 1), 100.0), ((5, 60), 0.01)):
        near = catalogue.near(centre, radius)
        inside = SkyCoord(*centre, unit="deg").separation(places).deg <= radius
        np.testing.assert_array_equal(np.sort(near.row), np.flatnonzero(inside))


def test_settings_load_each_file_once_and_again_after_a_change(tmp_path):
    path = text(tmp_path / "x.csv", "ra,dec,flux\n1,2,3\n")
    settings = CalibrationConfig(position_catalogue=str(path), flux_catalogue=str(path), flux_frequency=1e9)
    first = load_references(settings)
    assert first.positions is not None
    assert first.fluxes is not None
    assert first.fluxes.frequency == 1e9
    assert load_references(settings).fluxes is first.fluxes
    text(path, "ra,dec,flux\n1,2,30\n")
    assert load_references(settings).fluxes.sources.f_int == pytest.approx([30])
    assert load_references(CalibrationConfig()) == (None, None)


def test_missing_file_is_an_error_of_its_setting(tmp_path):
    settings = CalibrationConfig(flux_catalogue=str(tmp_path / "none.fits"))
    with pytest.raises(ConfigError, match=r"^calibration.flux_catalogue: .*none.fits: No such file or directory$"):
        load_references(settings)
    assert load_references(settings.model_copy(update={"flux_scale": "off"})) == (None, None)


def test_table_in_memory_of_several_values_in_a_row_is_refused(tmp_path):
    table = Table({"ra": [1.0], "dec": [[1.0, 2.0]], "flux": [1.0]})
    with pytest.raises(ConfigError, match="column dec has several values in a row"):
        load_reference(write(tmp_path / "x.fits", table, "fits"))


def test_votable_with_named_fields_in_another_order_is_read(tmp_path):
    table = survey()["S1.4", "DEJ2000", "Name", "RAJ2000"]
    buffer = io.BytesIO()
    table.write(buffer, format="votable", tabledata_format="binary2")
    (tmp_path / "x.dat").write_bytes(buffer.getvalue())
    sources = load_reference(tmp_path / "x.dat").sources
    np.testing.assert_allclose([sources.ra, sources.dec, sources.f_int], [RA, DEC, FLUX])
