from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trap.kernels.maps import interpolate_rows, range_of, search_mask, significance_map, subtract_rows


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 7), st.sampled_from([0.0, 0.5, 1.0, 2.5, 4.0, 9.0]))
def test_searched_pixels_are_inside_the_margin_and_the_circle_and_have_a_value(ny, nx, margin, radius):
    data = np.random.default_rng(1).choice([1.0, np.nan, np.inf], (ny, nx), p=[0.8, 0.1, 0.1]).astype(np.float32)
    y, x = np.mgrid[0:ny, 0:nx]
    expected = (x < margin) | (x > nx - 1 - margin) | (y < margin) | (y > ny - 1 - margin) | ~np.isfinite(data)
    if radius > 0:
        expected |= (x - (nx - 1) / 2) ** 2 + (y - (ny - 1) / 2) ** 2 >= radius**2
    assert np.array_equal(search_mask(data, margin, radius), expected)


def test_rows_are_means_of_two_lines():
    rng = np.random.default_rng(2)
    lines, data = rng.normal(size=(4, 30)).astype(np.float32), rng.normal(size=(20, 30)).astype(np.float32)
    before, after = rng.integers(0, 4, 20), rng.integers(0, 4, 20)
    share = rng.uniform(size=20).astype(np.float32)
    expected = lines[before] * (1 - share[:, np.newaxis]) + lines[after] * share[:, np.newaxis]
    assert interpolate_rows(lines, before, after, share) == pytest.approx(expected, abs=1e-6)
    assert subtract_rows(data, lines, before, after, share) == pytest.approx(data - expected, abs=1e-6)


def test_significance_is_the_ratio_where_there_is_one():
    value = np.float32([[4, 0, 1, np.nan], [-3, 2, np.inf, 1]])
    rms = np.float32([[2, 0, 0, 1], [3, 1, 1, np.nan]])
    mask = np.array([[0, 0, 0, 0], [0, 1, 0, 0]], bool)
    expected = [[2, -np.inf, np.inf, -np.inf], [-1, -np.inf, np.inf, -np.inf]]
    assert np.array_equal(significance_map(value, rms, mask), np.float32(expected))


def test_range_is_that_of_what_is_not_masked():
    value = np.float32([[1, 7, -2]])
    assert range_of(value, np.array([[False, True, False]])) == (-2, 1)
    assert np.isnan(range_of(value, np.ones((1, 3), bool))).all()
