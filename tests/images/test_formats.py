"""An image in every supported format has the same metadata and the same sources."""

from __future__ import annotations

import pickle
from dataclasses import fields

import numpy as np
import pytest
from astropy.io import fits
from image_forms import BEAM, FORMS, SOURCES, header, pixels, write_casa, write_cube, write_fits

from trap.config import Given, ReadingConfig, SourceExtractionConfig
from trap.errors import ImageError, UnreadableImageError
from trap.extraction.measure import extract_sources
from trap.images.image import read_image

SETTINGS = SourceExtractionConfig(margin=5, extraction_radius_pix=0, back_size_x=40, back_size_y=40)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The image in its plainest form, and its sources."""
    image = read_image(write_fits(tmp_path_factory.mktemp("plain") / "plain.fits"))
    return image, extract_sources(image, SETTINGS).measurements


def assert_same_metadata(image, expected):
    # casacore keeps angles in rad and arcsec, and dates in days, so that the last digits are lost.
    for field in fields(expected):
        value, other = getattr(image, field.name), getattr(expected, field.name)
        if field.name == "beam":
            assert (value.bmaj, value.bmin, value.bpa) == pytest.approx((other.bmaj, other.bmin, other.bpa), rel=1e-6)
        elif field.name == "taustart_ts":
            assert abs((value - other).total_seconds()) < 1e-4
        elif field.name != "url":
            assert value == (pytest.approx(other, rel=1e-9) if isinstance(other, float) else other), field.name


@pytest.mark.parametrize("form", FORMS)
def test_every_format_gives_the_same_metadata_and_detections(form, plain, tmp_path):
    write, settings = FORMS[form]
    expected, sources = plain
    image = read_image(write(tmp_path / form), settings)
    assert_same_metadata(image.metadata, expected.metadata)
    assert np.array_equal(image.data, expected.data)
    found = extract_sources(image, SETTINGS).measurements
    assert len(found) == len(sources) == len(SOURCES)
    for name in ("ra", "dec", "f_peak", "f_int", "f_peak_err"):
        assert getattr(found, name) == pytest.approx(getattr(sources, name), rel=1e-6), name


@pytest.mark.parametrize("form", FORMS)
def test_image_in_any_format_can_be_pickled(form, plain, tmp_path):
    write, settings = FORMS[form]
    image = pickle.loads(pickle.dumps(read_image(write(tmp_path / form), settings)))
    assert np.array_equal(image.cutout(slice(20, 50), slice(30, 60)), plain[0].data[20:50, 30:60])


def test_hdus_in_memory_give_the_same(plain):
    hdus = fits.HDUList([fits.PrimaryHDU(pixels(), header("ra", "dec", RESTFRQ=1.4e9, RESTBW=1e7))])
    image = read_image(hdus)
    assert image.url == "memory://ASKAP_2020-08-03T04:33:55.500000_0_1.4e+09_1e+07"
    assert_same_metadata(image.metadata, plain[0].metadata)
    assert np.array_equal(image.data, plain[0].data)


def test_first_plane_of_a_cube_is_the_default(tmp_path):
    image = read_image(write_cube(tmp_path / "cube.fits", ("ra", "dec", "stokes", "freq")))
    assert image.metadata.freq_eff == 1.4e9 - 2e7
    assert image.metadata.stokes == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (ReadingConfig(channel=3), "no channel 3 in the file, which holds 3"),
        (ReadingConfig(stokes="V"), "no Stokes V in the file, which holds Q, I"),
        (ReadingConfig(stokes="xy"), "no Stokes XY in the file"),
        (ReadingConfig(hdu="SCI"), "no HDU 'SCI' in the file, which holds PRIMARY"),
        (ReadingConfig(hdu="7"), "no HDU '7' in the file"),
    ],
)
def test_missing_plane_is_refused(tmp_path, settings, message):
    path = write_cube(tmp_path / "cube.fits", ("ra", "dec", "stokes", "freq"))
    with pytest.raises(ImageError, match=message) as caught:
        _ = read_image(path, settings).metadata
    assert str(path) in str(caught.value)


def test_given_values_override_the_header(tmp_path):
    path = write_fits(tmp_path / "lba_1.fits", BMAJ=None, BMIN=None, RESTFRQ=None, DATE_OBS="never")
    given = (
        Given(match="*", bmaj=0.02, bmin=0.01, freq_eff=6e7, tau_time=5.0),
        Given(match="lba_*.fits", freq_bw=2e5, tau_time=8.0, taustart_ts="2021-02-03T04:05:06"),
        Given(match="hba_*.fits", freq_eff=1.5e8),
    )
    metadata = read_image(path, ReadingConfig(given=given)).metadata
    assert (metadata.beam.bmaj, metadata.beam.bmin, metadata.beam.bpa) == (0.02, 0.01, 0.0)
    assert (metadata.freq_eff, metadata.freq_bw, metadata.tau_time) == (6e7, 2e5, 8.0)
    assert metadata.taustart_ts.isoformat() == "2021-02-03T04:05:06+00:00"


def stokes_given(letter):
    return ReadingConfig(given=(Given(stokes=letter),))


@pytest.mark.parametrize("order", [("ra", "dec"), ("ra", "dec", "stokes"), ("stokes", "ra", "dec")])
def test_stokes_parameter_can_be_given_for_one_plane(tmp_path, order):
    path = write_fits(tmp_path / "plane.fits", order)
    assert read_image(path).metadata.stokes == 1
    assert read_image(path, stokes_given("v")).metadata.stokes == 4
    both = stokes_given("V").model_copy(update={"stokes": "V"})
    assert read_image(path, both).metadata.stokes == 4
    with pytest.raises(ImageError, match="no Stokes Q in the file, which holds V"):
        _ = read_image(path, both.model_copy(update={"stokes": "Q"})).metadata


def test_stokes_parameter_cannot_be_given_for_a_cube_of_several(tmp_path):
    path = write_cube(tmp_path / "cube.fits", ("ra", "dec", "stokes", "freq"))
    with pytest.raises(ImageError, match=r"Stokes V for a cube of Q, I; choose a plane by reading\.stokes"):
        _ = read_image(path, stokes_given("V")).metadata


def test_file_without_the_chosen_stokes_parameter_is_no_image_of_it(tmp_path):
    plain = write_fits(tmp_path / "plain.fits")
    assert read_image(plain, ReadingConfig(stokes="I")).metadata.stokes == 1
    with pytest.raises(ImageError, match="no Stokes V in the file, which holds I"):
        _ = read_image(plain, ReadingConfig(stokes="V")).metadata
    # CTYPE3 describes an axis without pixels.
    of_v = write_fits(tmp_path / "v.fits", CTYPE3="STOKES", CRVAL3=4.0)
    assert read_image(of_v, ReadingConfig(stokes="V")).metadata.stokes == 4


def test_folder_without_an_image_is_refused(tmp_path):
    (tmp_path / "empty.image").mkdir()
    with pytest.raises(UnreadableImageError, match=r"empty\.image: a folder without a CASA image"):
        _ = read_image(tmp_path / "empty.image").metadata


def test_table_without_an_image_is_refused(tmp_path):
    from casacore.tables import makescacoldesc, maketabdesc, table  # noqa: PLC0415

    table(str(tmp_path / "other.table"), maketabdesc([makescacoldesc("a", 1.0)]), nrow=1, ack=False).close()
    with pytest.raises(UnreadableImageError, match="a CASA table without an image"):
        _ = read_image(tmp_path / "other.table").metadata


def test_broken_table_is_refused(tmp_path):
    path = write_casa(tmp_path / "broken.image")
    (path / "table.dat").write_bytes(b"nothing")
    with pytest.raises(UnreadableImageError, match=r"broken\.image: "):
        _ = read_image(path).metadata


def test_without_casacore_the_message_names_the_package_to_install(tmp_path, monkeypatch):
    path = write_casa(tmp_path / "table.image")
    monkeypatch.setitem(__import__("sys").modules, "casacore.tables", None)
    with pytest.raises(ImageError, match=r"pip install 'trap-transients\[casa\]'"):
        _ = read_image(path).metadata


def test_masked_pixels_of_a_table_have_no_value(tmp_path):
    from casacore.images import image  # noqa: PLC0415

    path = write_casa(tmp_path / "masked.image")
    opened = image(str(path))
    mask = np.zeros(opened.shape(), bool)
    mask[..., 3, 4] = True
    opened.putmask(mask)
    del opened
    assert np.argwhere(np.isnan(read_image(path).data)).tolist() == [[3, 4]]


def test_hash_of_a_table_depends_on_its_content_alone(tmp_path):
    path = write_casa(tmp_path / "table.image")
    before = read_image(path).content_hash
    (path / "table.lock").write_bytes(b"held")
    assert read_image(path).content_hash == before
    (path / "table.f0").write_bytes(b"other")
    assert read_image(path).content_hash != before


def test_beam_is_read_as_written():
    # The forms are compared with the plain one, and that one with the truth.
    assert header("ra", "dec")["BMAJ"] == BEAM.bmaj


def test_pipe_is_refused_without_waiting(tmp_path):
    import os  # noqa: PLC0415

    os.mkfifo(tmp_path / "pipe.fits")
    with pytest.raises(UnreadableImageError, match=r"pipe\.fits: neither a file nor a folder"):
        _ = read_image(tmp_path / "pipe.fits").metadata
