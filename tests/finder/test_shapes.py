from __future__ import annotations

import numpy as np
import pytest

from trap.errors import ImageError
from trap.extraction.celestial import beam_form, pixel_forms, sky_ellipses
from trap.extraction.measure import extract_sources
from trap.finder.deconvolve import Ellipses
from trap.finder.shapes import SourceShapes, fit_shape_errors, measure_shapes, moments_shape_errors
from trap.images.beam import Beam

SHAPE = Ellipses(major=np.array([3.0]), minor=np.array([2.5]), pa=np.array([0.0]))
BEAM = Ellipses(major=np.array([2.5]), minor=np.array([2.0]), pa=np.array([0.0]))


def test_errors_of_a_fit_are_traps():
    # TF §5.7: a = 3, b = 2.5, S/N 10, beam widths 5 and 4.
    errors = fit_shape_errors(SHAPE, BEAM, signal_to_noise=np.array([10.0]))
    assert errors.major[0] == pytest.approx(0.3166835, abs=1e-7)
    assert errors.minor[0] == pytest.approx(0.2726640, abs=1e-7)
    assert errors.pa[0] == pytest.approx(np.degrees(0.4206601), abs=1e-5)


def test_errors_of_moments_are_traps():
    # TF §5.8: the same, threshold 3.
    errors = moments_shape_errors(SHAPE, BEAM, signal_to_noise=np.array([10.0]), threshold=3.0)
    assert errors.major[0] == pytest.approx(0.2480230, abs=1e-7)
    assert errors.minor[0] == pytest.approx(0.2066859, abs=1e-7)
    assert errors.pa[0] == pytest.approx(np.degrees(0.3188705), abs=1e-5)


def test_round_source_has_no_direction():
    round_ = Ellipses(major=np.array([3.0]), minor=np.array([3.0]), pa=np.array([10.0]))
    assert fit_shape_errors(round_, BEAM, signal_to_noise=np.array([100.0])).pa[0] == 90


@pytest.mark.parametrize("rotation", [0.0, 70.0])
def test_drawn_size_is_recovered_at_any_rotation_of_the_image(sky, config, rotation):
    sky.nx = sky.ny = 128
    sky.rotation = rotation
    # Both along 30°: the squares of the widths subtract, 6² and 3² pixels of 2″ are left.
    fitted = {"bmaj": np.hypot(sky.bmaj, 6.0), "bmin": np.hypot(sky.bmin, 3.0), "bpa": sky.bpa}
    image = sky.image(sky.sources(60.3, 70.6, 0.5, **fitted) + sky.noise(1))
    free = config.model_copy(update={"force_beam": False})
    shapes = measure_shapes(extract_sources(image, free).measurements, image, free)
    assert len(shapes) == 1
    for name, drawn in (("semimajor_dc", 6.0), ("semiminor_dc", 3.0), ("pa_dc", 30.0)):
        value, error = getattr(shapes, name)[0], getattr(shapes, f"{name}_err")[0]
        assert abs(value - drawn) < 4 * error < 0.3 * drawn
    assert shapes.n_unresolved[0] == 0


def test_fixed_shape_is_not_a_measurement(sky, config):
    sky.nx = sky.ny = 128
    image = sky.image(sky.sources([40, 90], [40, 90], [0.1, 0.02]) + sky.noise(2))
    shapes = measure_shapes(extract_sources(image, config).measurements, image, config)
    assert shapes.n_unresolved.tolist() == [2, 2]
    assert shapes.semimajor_dc.tolist() == [0, 0]
    assert np.isnan(shapes.semimajor_err).all()
    assert np.isnan(shapes.semimajor_dc_err).all()


def test_no_sources_have_no_shapes(sky, config):
    image = sky.image(sky.noise(3))
    assert len(measure_shapes(extract_sources(image, config).measurements, image, config)) == 0
    assert len(SourceShapes.empty()) == 0


def test_image_without_a_beam_is_rejected(sky, config):
    image = sky.image(sky.noise(3))
    measurements = extract_sources(image, config).measurements
    header = sky.header()
    del header["BMAJ"]
    with pytest.raises(ImageError, match="no restoring beam"):
        measure_shapes(measurements, type(image).from_array(image.data, header), config)


@pytest.mark.parametrize("signal_to_noise", [30, 100])
def test_deconvolved_sizes_scatter_by_their_errors(sky, config, signal_to_noise):
    sky.nx = sky.ny = 512
    rng, grid, x_steps = np.random.default_rng(5), np.arange(30, 490, 40.0), np.arange(-20, 21)
    x, y = (a.ravel() + rng.uniform(-0.5, 0.5, a.size) for a in np.meshgrid(grid, grid))
    fitted = {"bmaj": np.hypot(sky.bmaj, 5.0), "bmin": np.hypot(sky.bmin, 3.0), "bpa": sky.bpa}
    data = sky.noise(6)
    for one_x, one_y in zip(x, y, strict=True):
        columns, rows = int(one_x) + x_steps, int(one_y) + x_steps
        stamp = sky.shape(columns - one_x, rows[:, np.newaxis] - one_y, **fitted)
        data[np.ix_(rows, columns)] += signal_to_noise * sky.rms * stamp
    free = config.model_copy(update={"force_beam": False, "back_size_x": 128, "back_size_y": 128})
    image = sky.image(data)
    shapes = measure_shapes(extract_sources(image, free).measurements, image, free)
    assert len(shapes) == x.size
    for name, drawn in (("semimajor_dc", 5.0), ("semiminor_dc", 3.0), ("pa_dc", 30.0)):
        pull = (getattr(shapes, name) - drawn) / getattr(shapes, f"{name}_err")
        assert abs(np.median(pull)) < 0.4
        # Condon's errors are somewhat too large for sources hardly larger than the beam.
        assert 0.6 < 1.4826 * np.median(np.abs(pull - np.median(pull))) < 1.2


def test_ellipses_on_the_sky_undo_those_in_pixels(sky):
    sky.rotation = 35.0
    wcs = sky.image(np.zeros((8, 8))).wcs
    x, y = np.array([3.0, 200.0]), np.array([5.0, 60.0])
    shape = {"semimajor": np.array([6.0, 5.0]), "semiminor": np.array([4.0, 1.0]), "pa": np.array([10.0, 179.5])}
    axes = sky_ellipses(wcs, x, y, pixel_forms(wcs, x, y, **shape))
    assert np.array(axes) == pytest.approx(np.array(list(shape.values())))


def test_one_shape_on_the_sky_everywhere(sky):
    wcs = sky.image(np.zeros((8, 8))).wcs
    beam = Beam(bmaj=10.0 / 3600, bmin=8.0 / 3600, bpa=30.0)
    semimajor, semiminor, pa = sky_ellipses(
        wcs, np.array([126.0, 130]), np.array([128.0, 125]), beam_form(beam, wcs, (256, 256))
    )
    assert semimajor == pytest.approx(5.0, rel=1e-6)
    assert semiminor == pytest.approx(4.0, rel=1e-6)
    assert pa == pytest.approx(30.0, abs=1e-3)
