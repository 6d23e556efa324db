"""Every image that users meet: the right answer, or a flagged one, and never a crash."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fuzzing import fuzz, little_memory
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from trap.catalogues import Flag, Measurements
from trap.config import SourceExtractionConfig
from trap.extraction.forced import fit_positions
from trap.extraction.measure import extract_sources
from trap.images.image import Image

CONFIG = SourceExtractionConfig(detection_threshold=5, analysis_threshold=3, margin=0, extraction_radius_pix=0)
CONFIGS = [CONFIG, CONFIG.model_copy(update={"force_beam": False}), CONFIG.model_copy(update={"errors": "condon"})]
each_config = pytest.mark.parametrize("config", CONFIGS, ids=["beam", "free", "condon"])


def extracted(image, config=CONFIG):
    """The sources of an image, after a look at whether the table makes sense."""
    extraction = extract_sources(image, config)
    found = extraction.measurements
    assert np.isfinite(found.f_peak).all()
    assert (found.is_measured | (found.flags > 0)).all()
    fitted = fit_positions(
        image, found.ra, found.dec, background=extraction.background, neighbours=found, config=config
    )
    assert (fitted.is_measured | ((fitted.flags & Flag.OUTSIDE) > 0)).all()
    return found


def nearest(found, x, y):
    row = np.argmin(np.hypot(found.x - x, found.y - y))
    assert np.hypot(found.x[row] - x, found.y[row] - y) < 1
    return found.take([row])


@each_config
@pytest.mark.parametrize("value", [np.nan, 0.0, -2.5, 1e30])
def test_image_of_one_value_has_no_sources(sky, config, value):
    assert len(extracted(sky.image(np.full((256, 256), value)), config)) == 0


@each_config
def test_negative_image_has_no_sources(sky, config):
    noise = -np.abs(sky.noise(1)) - sky.sources([100], [90], [0.3])
    assert len(extracted(sky.image(noise - 5 * sky.rms), config)) == 0


@each_config
@pytest.mark.parametrize(("nx", "ny"), [(30, 30), (49, 20), (20, 60)])
def test_image_smaller_than_a_mesh_cell_is_searched(sky, config, nx, ny):
    sky = replace(sky, nx=nx, ny=ny)
    found = extracted(sky.image(sky.noise(2) + sky.sources([nx / 2], [ny / 2], [0.5])), config)
    assert nearest(found, nx / 2, ny / 2).f_peak[0] == pytest.approx(0.5, rel=0.2)


@each_config
@pytest.mark.parametrize(("nx", "ny"), [(1, 1), (1, 40), (40, 1), (2, 2), (3, 5)])
def test_image_of_a_few_pixels_is_no_crash(sky, config, nx, ny):
    extracted(replace(sky, nx=nx, ny=ny).image(np.random.default_rng(3).normal(size=(ny, nx))), config)


@each_config
def test_island_of_one_pixel_is_measured(sky, config):
    image = sky.image(sky.noise(4) + sky.sources([100.2], [80.1], [0.02]))
    level = 0.995 * extracted(image).significance[0]
    one_pixel = config.model_copy(update={"detection_threshold": level, "analysis_threshold": level})
    source = extracted(image, one_pixel)
    assert source.f_peak[0] == pytest.approx(0.02, abs=4e-3)
    assert len(source) == 1


@each_config
@pytest.mark.parametrize(("x", "y"), [(0.3, 100.0), (255.2, 100.0), (100.0, -0.4), (254.9, 255.3)])
def test_source_on_any_edge_is_measured_and_flagged(sky, config, x, y):
    source = nearest(extracted(sky.image(sky.noise(5) + sky.sources([x], [y], [0.5])), config), x, y)
    assert source.flags[0] & Flag.EDGE
    assert source.f_peak[0] == pytest.approx(0.5, rel=0.1)


@each_config
@pytest.mark.parametrize("fwhm", [1.9, 1.4])
def test_beam_below_two_pixels_is_fitted(sky, config, fwhm):
    sky = replace(sky, bmaj=fwhm, bmin=0.9 * fwhm)
    x, y = np.array([50.0, 100.4, 150.2]), np.array([50.5, 100.0, 150.3])
    found = extracted(sky.image(sky.noise(6) + sky.sources(x, y, np.full(3, 0.1))), config)
    for one_x, one_y in zip(x, y, strict=True):
        assert nearest(found, one_x, one_y).f_peak[0] == pytest.approx(0.1, rel=0.1)


@each_config
def test_oblong_pixels_change_nothing_on_the_sky(sky, config):
    # The same sky on pixels twice as high: every second row.
    sky = replace(sky, nx=240, ny=240, bmaj=10.0, bmin=8.0)
    data = sky.noise(7) + sky.sources([80, 160], [80, 160], [0.5, 0.2])
    square = sky.image(data)
    header = sky.header()
    header["CDELT2"] *= 2
    header["CRPIX2"] = (header["CRPIX2"] + 1) / 2
    oblong = Image.from_array(np.asarray(data[::2], np.float32), header)
    bright = config.model_copy(update={"detection_threshold": 10.0})
    one, two = (extracted(image, bright) for image in (square, oblong))
    assert len(one) == len(two) == 2
    for name in ("ra", "dec", "f_peak", "f_int"):
        assert getattr(two, name) == pytest.approx(getattr(one, name), rel=0.02)
    assert two.semimajor == pytest.approx(one.semimajor, rel=0.03)
    assert two.ew_fit_err == pytest.approx(one.ew_fit_err, rel=0.25)


@each_config
@pytest.mark.parametrize("rotation", [30.0, 90.0, 222.0])
def test_rotation_of_the_grid_changes_nothing_on_the_sky(sky, config, rotation):
    sky = replace(sky, rotation=rotation)
    image = sky.image(sky.noise(8) + sky.sources([60, 160], [80, 160], [0.5, 0.2]))
    found = extracted(image, config)
    for x, y, flux in ((60, 80, 0.5), (160, 160, 0.2)):
        source = nearest(found, x, y)
        ra, dec = (float(value) for value in image.wcs.all_pix2world(x, y, 0))
        assert (source.ra[0], source.dec[0]) == pytest.approx((ra, dec), abs=2e-5)
        assert source.f_int[0] == pytest.approx(flux, rel=0.05)
        assert np.sin(np.radians(source.pa[0] - sky.bpa)) == pytest.approx(0, abs=0.15)


@each_config
def test_crowd_that_fills_a_fifth_of_the_image_is_measured(sky, config):
    sky = replace(sky, nx=400, ny=400)
    rng = np.random.default_rng(9)
    grid = np.arange(10, 391, 12.0)
    x, y = (a.ravel() + rng.uniform(-3, 3, a.size) for a in np.meshgrid(grid, grid))
    flux = sky.rms * rng.uniform(15, 60, x.size)
    image = np.zeros((400, 400))
    v, u = np.mgrid[-14:15, -14:15]
    padded = np.pad(image, 20)
    for one_x, one_y, peak in zip(x, y, flux, strict=True):
        column, row = round(one_x), round(one_y)
        padded[row + 6 : row + 35, column + 6 : column + 35] += peak * sky.shape(u + column - one_x, v + row - one_y)
    found = extracted(sky.image(padded[20:-20, 20:-20] + sky.noise(9)), config)
    distance, row = cKDTree(np.column_stack([found.x, found.y])).query(np.column_stack([x, y]))
    near = distance < 2
    assert near.mean() > 0.9
    assert np.median(found.f_peak[row[near]] / flux[near]) == pytest.approx(1, abs=0.03)
    assert len(found) < 1.05 * x.size


pixel_values = st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1.0, 3.0, -7.0, 1e-30, 1e30, 1e5])


@fuzz(60)
@given(
    shape=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    seed=st.integers(0, 99),
    beam=st.tuples(st.floats(0.5, 20), st.floats(0.3, 1.0), st.floats(0, 180)),
    spots=st.lists(st.tuples(st.integers(0, 69), st.integers(0, 69), st.integers(1, 30), pixel_values), max_size=5),
    config=st.sampled_from(CONFIGS),
)
def test_any_image_is_searched_without_an_error(sky, shape, seed, beam, spots, config):
    (ny, nx), (bmaj, ratio, bpa) = shape, beam
    data = np.random.default_rng(seed).normal(size=shape)
    for x, y, size, value in spots:
        data[y : y + size, x : x + size] = value
    sky = replace(sky, nx=nx, ny=ny, bmaj=bmaj, bmin=bmaj * ratio, bpa=bpa)
    with np.errstate(over="ignore"), little_memory():
        found = extracted(sky.image(data), config)
    assert isinstance(found, Measurements)
