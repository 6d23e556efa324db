from __future__ import annotations

import numpy as np
import pytest
from sky_fixtures import gaussian_values

from trap.extraction.gaussian import Gaussians, Shape, fit_islands
from trap.extraction.islands import Islands

TRUTH = np.array([[2.0, 10.3, 12.6, 0.20, 0.05, 0.12], [1.5, 15.8, 9.1, 0.15, -0.04, 0.22]])


def gaussians(parameters):
    p = np.atleast_2d(parameters)
    return Gaussians(peak=p[:, 0], x=p[:, 1], y=p[:, 2], form=p[:, 3:])


def parameters(g):
    return np.column_stack([g.peak, g.x, g.y, g.form])


def island_of(truth, keep=slice(None)):
    """All pixels of a small image of Gaussians, as one island."""
    y, x = (a.ravel()[keep] for a in np.mgrid[0:25, 0:28])
    value = sum(p * gaussian_values(x - x0, y - y0, np.array(form)) for p, x0, y0, *form in np.atleast_2d(truth))
    return Islands(offsets=np.array([0, x.size]), x=x, y=y, value=value, rms=np.ones(x.size))


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e4])
def test_free_fit_recovers_the_source_in_any_unit(scale):
    truth = TRUTH[0] * [scale, 1, 1, 1, 1, 1]
    start = gaussians(truth * [0.8, 1, 1, 0.7, 0.0, 1.4] + [0, 0.7, -0.6, 0, 0, 0])
    fitted = fit_islands(island_of(truth), np.array([1]), start, Shape.FREE)
    assert parameters(fitted)[0] == pytest.approx(truth, rel=1e-4)


def test_components_of_an_island_are_fitted_together():
    start = gaussians(TRUTH * [0.9, 1, 1, 1.2, 1, 0.9] + [0, 0.4, 0.3, 0, 0, 0])
    fitted = fit_islands(island_of(TRUTH), np.array([2]), start, Shape.FREE)
    assert parameters(fitted) == pytest.approx(TRUTH, rel=1e-4)


def test_beam_fit_keeps_the_shape():
    start = gaussians(TRUTH[0] + [0.5, 0.6, -0.6, 0, 0, 0])
    fitted = fit_islands(island_of(TRUTH[0]), np.array([1]), start, Shape.BEAM)
    assert parameters(fitted)[0] == pytest.approx(TRUTH[0], rel=1e-5)
    assert np.array_equal(fitted.form, start.form)


def test_islands_are_fitted_each_to_its_own_pixels():
    one, two = island_of(TRUTH[0]), island_of(TRUTH[1])
    both = Islands(
        offsets=np.array([0, one.x.size, 2 * one.x.size]),
        **{name: np.concatenate([getattr(one, name), getattr(two, name)]) for name in ("x", "y", "value", "rms")},
    )
    fitted = fit_islands(both, np.array([1, 1]), gaussians(TRUTH * 1.05), Shape.FREE)
    assert parameters(fitted) == pytest.approx(TRUTH, rel=1e-4)


def test_island_with_fewer_pixels_than_parameters_is_not_fitted():
    fitted = fit_islands(island_of(TRUTH[0], slice(5)), np.array([1]), gaussians(TRUTH[0]), Shape.FREE)
    assert np.isnan(parameters(fitted)).all()


def test_shape_that_is_no_ellipse_is_no_fit():
    trough = island_of(TRUTH[0])
    trough.value[:] = 1 + 0.01 * (trough.x - 12.0) ** 2
    fitted = fit_islands(trough, np.array([1]), gaussians(TRUTH[0]), Shape.FREE)
    assert np.isnan(fitted.peak[0])
