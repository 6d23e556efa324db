"""Cut-outs: the right pixels, the right directions, and what lies beyond the edge."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from trap.images.cutouts import cutout_size, read_cutout
from trap.images.image import Image


@pytest.fixture
def image(tmp_path):
    """A field of 100 pixels of 10 arcsec at RA 0, with a beam of 60 × 40 arcsec along north; one bright pixel."""

    def write(*, rotation=0.0, bright=(70, 40)):
        pixels = np.random.default_rng(1).normal(0, 1e-3, (100, 100)).astype("f4")
        pixels[bright[1], bright[0]] = 1.0
        header = fits.Header()
        header["CTYPE1"], header["CTYPE2"] = "RA---SIN", "DEC--SIN"
        header["CRPIX1"], header["CRPIX2"], header["CRVAL1"], header["CRVAL2"] = 50.5, 50.5, 0.0, 45.0
        header["CDELT1"], header["CDELT2"], header["CROTA2"] = -10 / 3600, 10 / 3600, rotation
        header["BMAJ"], header["BMIN"], header["BPA"] = 60 / 3600, 40 / 3600, 0.0
        header["BUNIT"], header["DATE-OBS"], header["RESTFRQ"] = "JY/BEAM", "2026-01-01T00:00:00", 1.4e9
        header["CTYPE3"], header["CRVAL3"], header["CDELT3"], header["CRPIX3"] = "FREQ", 1.4e9, 1e6, 1
        path = tmp_path / f"image{rotation}.fits"
        fits.PrimaryHDU(pixels[None], header).writeto(path, overwrite=True)
        return path

    return write


def position(path, x, y):
    return (float(value) for value in Image(path).wcs.all_pix2world(x, y, 0))


def test_the_position_is_among_the_pixels_where_it_is_in_the_image(image):
    path = image()
    cutout = read_cutout(Image(path), *position(path, 70, 40), title="here")
    x, y = cutout.position
    assert cutout.pixels[round(y), round(x)] == 1.0
    assert (x, y) == pytest.approx((36, 36))
    # Six beams of six pixels to either side: columns 34 to 106, cut off at 99 by the edge, and rows 4 to 76.
    assert cutout.pixels.shape == (73, 73)
    assert np.isfinite(cutout.pixels).all(axis=0).tolist() == [True] * 66 + [False] * 7
    assert cutout.scale == pytest.approx(10.0)


def test_north_is_up_and_east_to_the_left_where_the_image_is_not_rotated(image):
    path = image()
    cutout = read_cutout(Image(path), *position(path, 50, 50), title="here")
    np.testing.assert_allclose(cutout.north, [0, 1], atol=1e-3)
    np.testing.assert_allclose(cutout.east, [-1, 0], atol=1e-3)


def test_directions_and_beam_turn_with_the_image(image):
    path = image(rotation=90.0)
    cutout = read_cutout(Image(path), *position(path, 50, 50), title="here")
    assert cutout.north @ cutout.east == pytest.approx(0, abs=1e-6)
    assert abs(cutout.north[0]) == pytest.approx(1, abs=1e-3)
    # East is where the right ascension grows.
    ra, _ = Image(path).wcs.all_pix2world(*(np.array([50, 50]) + 3 * cutout.east), 0)
    assert 0 < ra < 1
    # The beam is longest along north: six pixels across, so three from its middle.
    assert np.abs(cutout.beam @ cutout.north).max() == pytest.approx(3.0, abs=0.01)
    assert np.abs(cutout.beam @ cutout.east).max() == pytest.approx(2.0, abs=0.01)


def test_a_position_off_the_image_has_no_cut_out(image):
    path = image()
    assert read_cutout(Image(path), 1.0, 45.0) is None
    assert read_cutout(Image(path), 180.0, -45.0) is None


def test_position_near_the_first_pixel_is_found_there(image):
    path = image(bright=(2, 3))
    cutout = read_cutout(Image(path), *position(path, 2, 3), size=9)
    assert cutout.position == pytest.approx((4, 4))
    assert cutout.pixels[4, 4] == 1.0
    assert np.isnan(cutout.pixels[0]).all()


def test_only_the_part_is_read(image):
    path = image()
    opened = Image(path)
    read_cutout(opened, *position(path, 50, 50))
    assert "data" not in opened.__dict__


@pytest.mark.parametrize(("bmaj", "size"), [(None, 25), (1, 25), (6, 73), (8.9, 107), (1e6, 801)])
def test_size_is_twelve_beams_within_limits(bmaj, size):
    beam = None if bmaj is None else SimpleNamespace(bmaj=bmaj * 0.01)
    assert cutout_size(SimpleNamespace(beam=beam, deltay=0.01)) == size
