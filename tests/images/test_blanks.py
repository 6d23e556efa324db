"""Pixels without data: constant areas of any value and shape, and pixels off the sky."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from sky_fixtures import Sky, sky

from trap.images.blanks import Filling, find_filling, has_repeats, off_sky
from trap.images.image import read_image

__all__ = ["sky"]

Y, X = np.indices((256, 256))
AREAS = {
    "half": X < 100,
    "beyond the primary beam": np.hypot(X - 128, Y - 128) > 110,
    "corner": X + Y < 90,
    "hole": np.hypot(X - 60, Y - 90) < 4,
    "dead column": X == 77,
    "almost everything": (X > 26) | (Y > 26),
}
NOISE = Sky().noise(1).astype(np.float32)
SOURCES = Sky().sources([50, 100, 200], [60, 150, 90], [1, 0.1, 0.03])


@pytest.fixture
def written(sky, tmp_path):
    """Return a function that writes pixels of any type to a file and opens it."""

    def image_of(pixels, **cards):
        path = tmp_path / "image.fits"
        header = sky.header()
        header.update(cards)
        fits.writeto(path, pixels, header, overwrite=True)
        return read_image(path)

    return image_of


@pytest.mark.parametrize("area", AREAS)
@pytest.mark.parametrize("value", [0.0, -1.0, -32768 * 1e-4, 3e-4])
def test_constant_area_has_no_data(written, area, value):
    image = written(np.where(AREAS[area], np.float32(value), NOISE))
    np.testing.assert_array_equal(np.isnan(image.data), AREAS[area])


@pytest.mark.parametrize("area", ["half", "hole", "dead column"])
def test_part_of_an_image_has_the_same_gaps_as_the_whole(written, area):
    pixels = np.where(AREAS[area], np.float32(-1), NOISE)
    whole = written(pixels).data
    for start in (40, 70, 95):
        rows, columns = slice(start, start + 33), slice(start, start + 20)
        np.testing.assert_array_equal(written(pixels).cutout(rows, columns), whole[rows, columns])


def test_single_pixels_of_zero_are_dead(written):
    pixels = NOISE.copy()
    pixels[[3, 100], [250, 17]] = 0
    assert np.argwhere(np.isnan(written(pixels).data)).tolist() == [[3, 250], [100, 17]]
    assert np.isnan(written(pixels).cutout(slice(90, 110), slice(10, 20))).sum() == 1


@pytest.mark.parametrize("step", [0.01, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("seed", range(3))
def test_levels_of_integers_and_of_compressed_images_are_data(sky, step, seed):
    sky.bmaj = sky.bmin = 4.0 + 6 * seed
    levels = np.rint((sky.noise(seed) + SOURCES) / (step * sky.rms))
    assert find_filling((levels * step * sky.rms).astype(np.float32)) == Filling()


@pytest.mark.parametrize("step", [0.01, 0.1, 0.25, 0.5])
@pytest.mark.parametrize("value", [0, -32768])
def test_filling_of_an_image_of_integers_is_found(written, step, value):
    levels = np.where(AREAS["half"], value, np.rint(NOISE / (step * 1e-3))).astype(np.int16)
    image = written(levels, BSCALE=step * 1e-3)
    is_blank = np.isnan(image.data)
    assert is_blank[AREAS["half"]].all()
    # Pixels at the border may have the level of the filling by chance.
    assert is_blank[:, 100:].mean() < 0.01
    rows, columns = slice(100, 130), slice(80, 110)
    np.testing.assert_array_equal(image.cutout(rows, columns), image.data[rows, columns])


@pytest.mark.parametrize(
    "sky_without_noise",
    [
        SOURCES,
        np.where(SOURCES > 1e-3, SOURCES, 0),
        SOURCES + 5,
        -SOURCES,
        np.zeros((256, 256)),
        np.where(X < 50, np.nan, 0),
        np.where((X % 31 == 0) & (Y % 29 == 0), NOISE**2, 0),
    ],
)
def test_constant_sky_of_a_simulation_without_noise_is_data(sky_without_noise):
    assert find_filling(sky_without_noise.astype(np.float32)) == Filling()


def test_enlarged_pixels_are_data():
    assert find_filling(NOISE[:80, :80].repeat(3, axis=0).repeat(3, axis=1)) == Filling()


def test_filling_around_positive_noise_is_found():
    intensity = np.hypot(NOISE, Sky().noise(2)).astype(np.float32)
    assert find_filling(np.where(AREAS["half"], np.float32(0), intensity)).values == (0.0,)


def test_infinite_pixels_become_nan():
    pixels = NOISE.copy()
    pixels[4, 5], pixels[6, 7] = np.inf, -np.inf
    assert not has_repeats(pixels)
    assert np.argwhere(np.isnan(pixels)).tolist() == [[4, 5], [6, 7]]


def projection(code, size, increment):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = f"RA---{code}", f"DEC--{code}"
    wcs.wcs.crval, wcs.wcs.crpix = (100.0, 37.0 if code == "SIN" else 0.0), ((size + 1) / 2,) * 2
    wcs.wcs.cdelt = -increment, increment
    return wcs


@pytest.mark.parametrize(("code", "increment"), [("SIN", 0.9), ("AIT", 1.9), ("MOL", 1.8), ("ZEA", 1.6)])
def test_every_pixel_off_the_sky_is_masked(code, increment):
    wcs = projection(code, 203, increment)
    x, y = np.meshgrid(np.arange(203), np.arange(203))
    ra, dec = wcs.all_pix2world(x.ravel(), y.ravel(), 0)
    expected = np.isnan(ra + dec).reshape(203, 203)
    assert 0.1 < expected.mean() < 0.9
    np.testing.assert_array_equal(off_sky(wcs, 203, 203), expected)


def test_image_of_a_part_of_the_sky_has_no_pixels_off_it():
    assert off_sky(projection("SIN", 203, 0.01), 203, 203) is None


def test_corners_of_an_image_of_all_the_sky_have_no_data(sky):
    # Half the width of the image is 128 pixels, and the horizon is at 100: π 100² of 256² pixels are on the sky.
    header = sky.header()
    header.update(CDELT1=-np.degrees(1 / 100), CDELT2=np.degrees(1 / 100), BMAJ=2.5, BMIN=2.0)
    image = sky.image(sky.noise(1))
    image = type(image).from_array(image.data, header)
    assert np.isfinite(image.data).mean() == pytest.approx(np.pi * 100**2 / 256**2, abs=0.002)
    assert np.isnan(image.cutout(slice(0, 20), slice(0, 20))).all()


def test_narrow_image_beyond_the_sky_is_masked():
    assert off_sky(projection("SIN", 203, 0.9), 203, 1).all()
    assert off_sky(projection("SIN", 1, 200.0), 1, 1) is None
