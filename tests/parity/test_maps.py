from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trap.kernels.maps import interpolate_rows, pixels_at, search_mask, significances, threshold_classes


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 7), st.sampled_from([0.0, 0.5, 1.0, 2.5, 4.0, 9.0]))
def test_searched_pixels_are_inside_the_margin_and_the_circle_and_have_a_value(ny, nx, margin, radius):
    data = np.random.default_rng(1).choice([1.0, np.nan, np.inf], (ny, nx), p=[0.8, 0.1, 0.1]).astype(np.float32)
    y, x = np.mgrid[0:ny, 0:nx]
    expected = (x < margin) | (x > nx - 1 - margin) | (y < margin) | (y > ny - 1 - margin) | ~np.isfinite(data)
    if radius > 0:
        expected |= (x - (nx - 1) / 2) ** 2 + (y - (ny - 1) / 2) ** 2 >= radius**2
    assert np.array_equal(search_mask(data, margin, radius), expected)


def mesh(rng, shape):
    """Lines of a mesh, and how the rows of an image lie between them: for the kernels, and as a whole map."""
    lines = rng.uniform(1, 2, (4, shape[1])).astype(np.float32)
    before, after = rng.integers(0, 4, shape[0]), rng.integers(0, 4, shape[0])
    share = rng.uniform(size=shape[0]).astype(np.float32)
    whole = lines[before] * (1 - share[:, np.newaxis]) + lines[after] * share[:, np.newaxis]
    return lines, (before, after, share), whole


def test_rows_are_means_of_two_lines():
    lines, rows, expected = mesh(np.random.default_rng(2), (20, 30))
    assert interpolate_rows(lines, *rows) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("step", [1, 3])
def test_significances_are_those_of_numpy_to_the_last_bit(step):
    rng = np.random.default_rng(4)
    level, (before, after, share), _ = mesh(rng, (20, 30))
    noise = rng.choice([0.0, 0.5, 2.0, np.nan], level.shape).astype(np.float32)
    data, mask = rng.normal(size=(20, 30)).astype(np.float32), rng.uniform(size=(20, 30)) < 0.2
    data[3, 4] = np.nan
    part = (slice(None, None, step), slice(2, None, step))
    weight = share[:, np.newaxis]
    levels, noises = (one[before] + weight * (one[after] - one[before]) for one in (level, noise))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = ((data - levels) / noises)[part]
    expected = np.where(mask[part] | np.isnan(ratio), -np.inf, ratio)
    rows = tuple(one[part[0]] for one in (before, after, share))
    found = significances(data[part], mask[part], (level[:, part[1]], noise[:, part[1]]), rows)
    assert np.array_equal(found, expected)


def test_noise_of_the_searched_pixels_has_its_limits():
    noise = np.float32([[1, 2, np.nan, 0.5], [np.inf, 3, 0.25, 1]])
    mask = np.array([[0, 0, 0, 0], [1, 0, 1, 0]], bool)
    rows = (np.arange(2), np.arange(2), np.zeros(2, np.float32))
    thresholds = (np.float32(3), np.float32(5))
    _, *limits = threshold_classes(np.zeros_like(noise), mask, (noise, noise), rows, thresholds)
    assert limits == [0.5, 3.0]
    _, *limits = threshold_classes(np.zeros_like(noise), mask | True, (noise, noise), rows, thresholds)
    assert np.isnan(limits).all()


@pytest.mark.parametrize("bits", [0x7FC00000, 0xFFC00000])
def test_pixel_with_undefined_noise_does_not_limit_the_noise(bits):
    # Both signs: inf - inf is NaN with a sign on x86.
    noise = np.float32([[1, 0, 2]])
    noise.view(np.uint32)[0, 1] = bits
    rows, thresholds = (np.zeros(1, int), np.zeros(1, int), np.zeros(1, np.float32)), (np.float32(3), np.float32(5))
    _, *limits = threshold_classes(np.zeros_like(noise), np.zeros((1, 3), bool), (noise, noise), rows, thresholds)
    assert limits == [1.0, 2.0]


def test_threshold_classes_are_those_of_the_significance_where_there_is_one():
    data = np.float32([[4, 0, 1, np.nan], [-3, 5, np.inf, 1], [3, 2.9, 4.9, 5]])
    noise = np.float32([[1, 0, 0, 1], [3, 1, 1, np.nan], [1, 1, 1, 1]])
    mask = np.array([[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]], bool)
    rows = (np.arange(3), np.arange(3), np.zeros(3, np.float32))
    classes, *_ = threshold_classes(data, mask, (np.zeros_like(noise), noise), rows, (np.float32(3), np.float32(5)))
    assert classes.tolist() == [[1, 0, 2, 0], [0, 0, 2, 0], [1, 0, 1, 2]]


def test_threshold_classes_and_pixels_are_those_of_whole_maps():
    rng = np.random.default_rng(3)
    data, mask = rng.normal(scale=4, size=(40, 30)).astype(np.float32), rng.uniform(size=(40, 30)) < 0.2
    levels, rows, level = mesh(rng, data.shape)
    noises, _, _ = mesh(rng, data.shape)
    noise = noises[rows[0]] * (1 - rows[2][:, np.newaxis]) + noises[rows[1]] * rows[2][:, np.newaxis]
    classes, low, high = threshold_classes(data, mask, (levels, noises), rows, (np.float32(1), np.float32(2)))
    ratio = (data - level) / noise
    assert np.array_equal(classes, np.where(mask, 0, (ratio >= 1).astype(int) + (ratio >= 2)))
    assert (low, high) == pytest.approx((noise[~mask].min(), noise[~mask].max()))
    flat = rng.integers(0, data.size, 50)
    value, rms = pixels_at(data, flat, (levels, noises), rows)
    assert value == pytest.approx((data - level).ravel()[flat], abs=1e-5)
    assert rms == pytest.approx(noise.ravel()[flat], abs=1e-6)


def test_noise_of_an_image_that_is_masked_throughout_has_no_range():
    one, rows = np.ones((1, 3), np.float32), (np.zeros(1, int), np.zeros(1, int), np.zeros(1, np.float32))
    _, *limits = threshold_classes(one, np.ones((1, 3), bool), (one, one), rows, (np.float32(3), np.float32(5)))
    assert np.isnan(limits).all()
