"""Cut-outs: the right pixels, the right directions, and what lies beyond the edge."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from trap.images.image import Image
from trap.report.cutouts import plot_cutouts, read_cutout


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
    cutout = read_cutout(Image(path), *position(path, 70, 40), "here")
    x, y = cutout.position
    assert cutout.pixels[round(y), round(x)] == 1.0
    # Six beams of six pixels to either side, cut at the edge: columns 34 to 99, rows 4 to 76.
    assert cutout.pixels.shape == (73, 66)
    assert cutout.scale == pytest.approx(10.0)


def test_north_is_up_and_east_to_the_left_where_the_image_is_not_rotated(image):
    path = image()
    cutout = read_cutout(Image(path), *position(path, 50, 50), "here")
    np.testing.assert_allclose(cutout.north, [0, 1], atol=1e-3)
    np.testing.assert_allclose(cutout.east, [-1, 0], atol=1e-3)


def test_directions_and_beam_turn_with_the_image(image):
    path = image(rotation=90.0)
    cutout = read_cutout(Image(path), *position(path, 50, 50), "here")
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
    assert read_cutout(Image(path), 1.0, 45.0, "off") is None
    assert read_cutout(Image(path), 180.0, -45.0, "behind") is None


def test_a_bright_neighbour_does_not_hide_what_is_at_the_position(image):
    path = image(bright=(80, 50))
    cutout = read_cutout(Image(path), *position(path, 50, 50), "here")
    figure = plot_cutouts([cutout, cutout])
    low, high = figure.axes[0].images[0].get_clim()
    # In mJy/beam: the noise is 1, the neighbour 1000.
    assert -5 < low < -2
    assert 2 < high < 10


def test_an_image_without_values_can_be_drawn(image):
    path = image()
    with fits.open(path, mode="update") as hdus:
        hdus[0].data[:] = np.nan
    figure = plot_cutouts([read_cutout(Image(path), *position(path, 50, 50), "here")])
    figure.canvas.draw()
