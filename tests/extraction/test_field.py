from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_field import field_of
from scipy import ndimage

from trap.config import SourceExtractionConfig
from trap.extraction.field import grown_mask, is_outside, measured_mask


def test_significance_of_a_part_is_the_ratio_where_there_is_one():
    field = field_of(
        [[4, 0, 1, 6], [-3, 2, 8, np.nan]], mask=[[0, 0, 0, 0], [0, 1, 0, 0]], rms=[[2, 1, 1, 2], [3, 1, 2, 1]]
    )
    everything = slice(None)
    assert field.significance(everything, everything).tolist() == [[2, 0, 1, 3], [-1, -np.inf, 4, -np.inf]]
    assert field.significance(slice(1, 2), slice(0, 4, 2)).tolist() == [[-1, 4]]


def test_pixels_are_the_values_above_the_background_and_the_noise():
    value, rms = field_of([[4, 0, 1], [-3, 2, 8]], rms=[[2, 1, 1], [3, 1, 2]]).pixels(np.array([5, 0]))
    assert value == pytest.approx([8, 4])
    assert rms == pytest.approx([2, 2])


def test_noise_ranges_over_what_is_not_masked():
    thresholds = field_of([[1, 1, 1]], mask=[[0, 1, 0]], rms=[[2, 9, 3]]).threshold_map(analysis=3, detection=5)
    assert (thresholds.rms_min, thresholds.rms_max) == (2, 3)


@pytest.mark.parametrize(
    ("shape", "radius", "expected"),
    [
        ((5, 1), 2, [True, False, False, False, True]),
        ((1, 4), 1, [True, False, False, True]),
        ((1, 1), 0, [False]),
        ((1, 1), 1, [False]),
    ],
)
def test_circle_masks_what_traps_does(shape, radius, expected):
    # trap-facts §5.1; there radius 0 masks all for the circle alone, but means "no circle" for an image.
    config = SourceExtractionConfig(margin=0, extraction_radius_pix=radius)
    assert measured_mask(np.zeros(shape), config).ravel().tolist() == expected


def test_margin_is_masked_on_all_four_sides():
    mask = measured_mask(np.zeros((7, 9)), SourceExtractionConfig(margin=2, extraction_radius_pix=0))
    assert (~mask).sum() == 3 * 5
    assert not mask[2:5, 2:7].any()


def test_pixels_without_a_value_are_masked():
    data = np.zeros((4, 4))
    data[1, 2] = np.nan
    data[3, 3] = np.inf
    mask = measured_mask(data, SourceExtractionConfig(margin=0, extraction_radius_pix=0))
    assert np.argwhere(mask).tolist() == [[1, 2], [3, 3]]


def test_part_of_an_image_is_masked_as_in_the_whole():
    config = SourceExtractionConfig(margin=3, extraction_radius_pix=20)
    whole = measured_mask(np.zeros((50, 60)), config)
    rows, columns = np.arange(2, 18), np.arange(5, 40)
    assert np.array_equal(is_outside(columns, rows[:, np.newaxis], (50, 60), config), whole[2:18, 5:40])


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 25), st.integers(0, 9))
def test_mask_grows_as_by_the_maximum_filter_of_scipy(ny, nx, half_y, half_x):
    mask = np.random.default_rng(nx).uniform(size=(ny, nx)) < 0.1
    expected = ndimage.maximum_filter(mask, (2 * half_y + 1, 2 * half_x + 1))
    assert np.array_equal(grown_mask(mask, half_y=half_y, half_x=half_x), expected)
