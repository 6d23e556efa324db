from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from trap.kernels.peaks import (
    add_gaussians,
    core_pixels,
    first_of_close,
    fit_peaks,
    link_gaussians,
    overlapping_pairs,
)

NX, NY = 40, 30


def crowd(seed, n=25):
    """Gaussians of many shapes at random places, some off the image."""
    rng = np.random.default_rng(seed)
    a, c = rng.uniform(0.1, 0.6, (2, n))
    b = rng.uniform(-0.9, 0.9, n) * np.sqrt(a * c)
    return np.column_stack([rng.normal(size=n), rng.uniform(-5, NX + 5, n), rng.uniform(-5, NY + 5, n), a, b, c])


def some_pixels(seed):
    flat = np.flatnonzero(np.random.default_rng(seed).uniform(size=NX * NY) < 0.7)
    y, x = np.divmod(flat, NX)
    return flat, x, y


def model(parameters, x, y):
    peak, x0, y0, a, b, c = parameters
    u, v = x - x0, y - y0
    return peak * np.exp(-(a * u * u + 2 * b * u * v + c * v * v) / 2)


def test_gaussians_are_added_where_they_shine():
    flat, x, y = some_pixels(1)
    value, parameters = np.random.default_rng(2).normal(size=flat.size), crowd(3)
    expected = value + sum(model(one, x, y) for one in parameters)
    assert add_gaussians(flat, NX, value, parameters) == pytest.approx(expected, abs=1e-6)


def test_core_is_an_ellipse_of_the_pixels_there_are():
    flat, x, y = some_pixels(4)
    a, b, c = 0.05, 0.02, 0.09
    centres = np.random.default_rng(5).uniform(-4, NX + 4, (20, 2))
    offsets, places = core_pixels(flat, NX, centres, np.array([a, b, c]))
    for i, (cx, cy) in enumerate(centres):
        u, v = x - cx, y - cy
        near = np.flatnonzero(a * u * u + 2 * b * u * v + c * v * v <= 1)
        assert places[offsets[i] : offsets[i + 1]].tolist() == near.tolist()


def test_groups_are_the_connected_components_of_overlap():
    parameters, least = crowd(6, 12), 0.05
    covariance = [np.linalg.inv([[a, b], [b, c]]) for a, b, c in parameters[:, 3:]]
    place = parameters[:, 1:3]
    overlap = np.array(
        [
            [np.exp(-(p - q) @ np.linalg.inv(s + t) @ (p - q) / 2) for q, t in zip(place, covariance, strict=True)]
            for p, s in zip(place, covariance, strict=True)
        ]
    )
    n, expected = sparse.csgraph.connected_components(overlap > least)
    one, other = overlapping_pairs(parameters, least)
    assert sorted(zip(np.minimum(one, other), np.maximum(one, other), strict=True)) == list(
        zip(*np.nonzero(np.triu(overlap > least, 1)), strict=True)
    )
    group = link_gaussians(parameters, least)
    assert 1 < n < len(parameters)
    assert len(set(zip(group.tolist(), expected.tolist(), strict=True))) == n == group.max() + 1


@pytest.mark.parametrize("spread", [[1.0, 1.0], [1.0, 1e-9], [0.0, 0.0], [1e4, 1.0]])
def test_first_of_close_points_are_chosen_in_their_order(spread):
    rng = np.random.default_rng(8)
    points, may_be = rng.uniform(0, 6, (150, 2)) * spread, rng.random(150) < 0.8
    chosen = []
    for i in np.flatnonzero(may_be):
        if all(np.hypot(*(points[i] - points[j])) > 1.2 for j in chosen):
            chosen.append(i)
    assert np.flatnonzero(first_of_close(points, may_be, 1.2)).tolist() == chosen


def test_peaks_are_those_of_least_squares_with_a_sandwich_of_errors():
    rng = np.random.default_rng(7)
    v, u = np.mgrid[-6:7, -6:7]
    correlation = np.exp(-(u * u + v * v) / 12)
    sizes, counts = [300, 200], [3, 2]
    offsets, first = (np.concatenate([[0], np.cumsum(n)]) for n in (sizes, counts))
    flat = np.concatenate([np.sort(rng.permutation(NX * NY)[:n]) for n in sizes])
    y, x = np.divmod(flat, NX)
    value, spring = rng.normal(size=flat.size), rng.uniform(0, 0.1, 5)
    parameters = np.array([[1, 15, 12, 0.1, 0, 0.1], [1, 19, 13, 0.1, 0.02, 0.2], [1, 25, 9, 0.2, 0, 0.1]])
    parameters = np.concatenate([parameters, parameters[:2] + np.array([0, 3, 3, 0, 0, 0])])
    peak, variance = fit_peaks(offsets, (x, y, value), first, parameters, spring, correlation)
    for i in range(2):
        own, rows = slice(offsets[i], offsets[i + 1]), slice(first[i], first[i + 1])
        images = np.column_stack([model([1, *one[1:]], x[own], y[own]) for one in parameters[rows]])
        dx, dy = (np.subtract.outer(a[own], a[own]) for a in (x, y))
        noise = np.where(np.maximum(abs(dx), abs(dy)) <= 6, np.exp(-(dx**2 + dy**2) / 12), 0)
        normal = images.T @ images
        inverse = np.linalg.inv(normal + np.diag(spring[rows] * np.diag(normal)))
        assert peak[rows] == pytest.approx(inverse @ images.T @ value[own], rel=1e-6)
        expected = np.diag(inverse @ images.T @ noise @ images @ inverse)
        assert variance[rows] == pytest.approx(expected, rel=1e-6)
