from __future__ import annotations

import numpy as np
import pytest
from flat_sky import sky_of


def test_significance_of_a_part_is_the_ratio_where_there_is_one():
    sky = sky_of(
        [[4, 0, 1, 6], [-3, 2, 8, np.nan]], mask=[[0, 0, 0, 0], [0, 1, 0, 0]], rms=[[2, 1, 1, 2], [3, 1, 2, 1]]
    )
    everything = slice(None)
    assert sky.significance(everything, everything).tolist() == [[2, 0, 1, 3], [-1, -np.inf, 4, -np.inf]]
    assert sky.significance(slice(1, 2), slice(0, 4, 2)).tolist() == [[-1, 4]]


def test_pixels_are_the_values_above_the_background_and_the_noise():
    value, rms = sky_of([[4, 0, 1], [-3, 2, 8]], rms=[[2, 1, 1], [3, 1, 2]]).pixels(np.array([5, 0]))
    assert value == pytest.approx([8, 4])
    assert rms == pytest.approx([2, 2])


def test_noise_ranges_over_what_is_not_masked():
    heights = sky_of([[1, 1, 1]], mask=[[0, 1, 0]], rms=[[2, 9, 3]]).heights(analysis=3, detection=5)
    assert (heights.rms_min, heights.rms_max) == (2, 3)
