from __future__ import annotations

import numpy as np
import pytest

from trap.extraction.boxes import PixelBoxes
from trap.extraction.gaussian import Gaussians, gaussian_values
from trap.extraction.linear import solve_peaks, unit_images

FORM = np.array([0.2, 0.05, 0.3])
FULL_WEIGHT = np.pi / np.sqrt(0.2 * 0.3 - 0.05**2)


def pixels_of(nx=60, ny=50, keep=slice(None)):
    flat = np.arange(nx * ny)[keep]
    y, x = np.divmod(flat, nx)
    return PixelBoxes(
        flat=flat,
        x=x,
        y=y,
        value=np.zeros(flat.size),
        offsets=np.array([0, flat.size]),
        members=np.arange(flat.size),
        has_centre=np.ones(1, bool),
        flags=np.zeros(1, np.int32),
    )


def sources_at(x, y):
    n = len(x)
    return Gaussians(x=np.array(x, float), y=np.array(y, float), peak=np.ones(n), form=np.tile(FORM, (n, 1)))


def test_images_are_the_gaussians_on_the_pixels_there_are():
    pixels = pixels_of(keep=slice(None, None, 3))
    sources = sources_at([20.3, -1.0, 59.5, 500.0], [25.6, 10.0, 49.9, -500.0])
    images = unit_images(pixels, sources).toarray()
    u, v = (p[:, np.newaxis] - c for p, c in ((pixels.x, sources.x), (pixels.y, sources.y)))
    assert images == pytest.approx(gaussian_values(u, v, FORM), abs=1e-7)


def test_no_sources_have_no_images():
    assert unit_images(pixels_of(), sources_at([], [])).shape == (3000, 0)


def test_peaks_come_back_from_their_sum():
    images = unit_images(pixels_of(), sources_at([20, 24.5, 45], [25, 26, 10]))
    truth = np.array([3.0, -1.0, 0.5])
    peak, _ = solve_peaks(images, images @ truth, full_weight=FULL_WEIGHT, spring=np.zeros(3))
    assert peak == pytest.approx(truth, rel=1e-9)


def test_variances_are_those_of_noise_smoothed_with_the_beam():
    # Sandwich covariance on the pixels: an isolated source, and two that are one beam apart.
    pixels = pixels_of(32, 28)
    images = unit_images(pixels, sources_at([14.0], [12.0]))
    pair = unit_images(pixels, sources_at([12.0, 17.0], [13.0, 13.0]))
    u, v = np.subtract.outer(pixels.x, pixels.x), np.subtract.outer(pixels.y, pixels.y)
    noise = gaussian_values(u, v, FORM / 2)
    for columns in (images, pair):
        _, variance = solve_peaks(columns, pixels.value, full_weight=FULL_WEIGHT, spring=np.zeros(columns.shape[1]))
        dense = columns.toarray()
        inverse = np.linalg.inv(dense.T @ dense)
        expected = np.diag(inverse @ dense.T @ noise @ dense @ inverse)
        assert variance == pytest.approx(expected, rel=0.02)


def test_isolated_peak_has_twice_the_variance_of_a_pixel():
    images = unit_images(pixels_of(), sources_at([30], [25]))
    _, variance = solve_peaks(images, np.zeros(3000), full_weight=FULL_WEIGHT, spring=np.zeros(1))
    assert variance[0] == pytest.approx(2, rel=1e-3)


def test_spring_keeps_two_equal_sources_solvable():
    images = unit_images(pixels_of(), sources_at([30, 30], [25, 25]))
    peak, variance = solve_peaks(images, images @ [1.0, 1.0], full_weight=FULL_WEIGHT, spring=np.full(2, 1e-3))
    assert peak == pytest.approx([1, 1], rel=1e-2)
    assert np.isfinite(variance).all()


def test_source_without_a_pixel_has_peak_zero():
    images = unit_images(pixels_of(), sources_at([30, 500], [25, 500]))
    peak, _ = solve_peaks(images, np.ones(3000), full_weight=FULL_WEIGHT, spring=np.zeros(2))
    assert peak[1] == 0
