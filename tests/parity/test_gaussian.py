from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

from trap.kernels.gaussian import fit_gaussians, invert, residuals, slopes_at, strongest_components

ONE = np.array([[9.0, 12.3, 9.8, 0.20, 0.05, 0.15]])
THREE = np.concatenate([ONE, [[6.0, 17.9, 14.1, 0.22, -0.03, 0.18], [7.0, 12.1, 16.6, 0.17, 0.02, 0.14]]])


def model(parameters, x, y):
    peak, x0, y0, a, b, c = (column[:, np.newaxis] for column in np.reshape(parameters, (-1, 6)).T)
    u, v = x - x0, y - y0
    return (peak * np.exp(-(a * u**2 + 2 * b * u * v + c * v**2) / 2)).sum(axis=0)


def twin(x, y, value, start, n_free):
    """The same fit by scipy, with numerical derivatives."""

    def complete(free):
        return np.column_stack([free.reshape(len(start), n_free), start[:, n_free:]])

    solved = least_squares(
        lambda free: model(complete(free), x, y) - value, start[:, :n_free].ravel(), x_scale="jac", xtol=1e-12
    )
    return complete(solved.x)


@pytest.mark.parametrize("truth", [ONE, THREE])
@pytest.mark.parametrize("n_free", [1, 3, 6])
def test_fits_are_scipys(truth, n_free):
    y, x = (a.ravel() for a in np.mgrid[0:26, 0:29])
    start = truth * [0.8, 1, 1, 1.15, 1, 0.9] + [0, 0.4, -0.3, 0, 0, 0]
    for seed in range(4):
        value = model(truth, x, y) + np.random.default_rng(seed).normal(0, 0.3, x.size)
        offsets, first = np.array([0, x.size]), np.array([0, len(truth)])
        found = fit_gaussians(offsets, (x, y, value), first, start, n_free, 1e-10)
        assert found == pytest.approx(twin(x, y, value, start, n_free), rel=2e-4, abs=2e-5)


@pytest.mark.parametrize("n_free", [1, 3, 6])
def test_derivatives_are_those_of_the_model(n_free):
    slopes, active = np.empty((3, 6)), np.empty(3, np.intp)
    for x, y in ((13.0, 11.0), (16.0, 15.0), (12.0, 9.0)):
        n, value = slopes_at(x, y, THREE, n_free, slopes, active)
        assert value == pytest.approx(float(model(THREE, x, y)[0]))
        for entry in range(n):
            for q in range(n_free):
                step = np.zeros_like(THREE)
                step[active[entry], q] = 1e-6
                expected = (model(THREE + step, x, y) - model(THREE - step, x, y))[0] / 2e-6
                assert slopes[entry, q] == pytest.approx(expected, abs=1e-6)


def test_component_out_of_reach_of_a_pixel_takes_no_part():
    assert slopes_at(500.0, 3.0, THREE, 6, np.empty((3, 6)), np.empty(3, np.intp)) == (0, 0.0)


def test_inverse_of_a_matrix_of_very_unlike_units():
    root, units = np.random.default_rng(6).normal(size=(5, 5)), np.array([1e-6, 1, 1e3, 1e-2, 1])
    matrix = root.T @ root
    found = invert(np.tril(matrix * np.outer(units, units))) * np.outer(units, units)
    assert found == pytest.approx(np.linalg.inv(matrix), rel=1e-8)
    assert np.isnan(invert(np.zeros((2, 2)))).all()


def test_residuals_are_the_values_less_all_components():
    rng = np.random.default_rng(7)
    y, x = (a.ravel() for a in np.mgrid[0:26, 0:29])
    value = rng.normal(size=x.size)
    # Three in one island, then none in half of the pixels again.
    offsets, first = np.array([0, x.size, x.size + x.size // 2]), np.array([0, 3, 3])
    pixels = tuple(np.concatenate([a, a[: x.size // 2]]) for a in (x, y, value))
    found = residuals(offsets, pixels, first, THREE)
    assert found[: x.size] == pytest.approx(value - model(THREE, x, y), abs=1e-6)
    assert np.array_equal(found[x.size :], value[: x.size // 2])


def test_strongest_component_is_the_highest_of_the_island():
    y, x = (a.ravel() for a in np.mgrid[0:26, 0:29])
    each = [model(THREE[k : k + 1], x, y) for k in range(3)]
    found = strongest_components(np.array([0, x.size]), x, y, np.array([0, 3]), THREE)
    seen = np.max(each, axis=0) > 1e-6
    assert np.array_equal(found[seen], np.argmax(each, axis=0)[seen])
