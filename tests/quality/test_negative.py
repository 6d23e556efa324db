"""Negative sources."""

from __future__ import annotations

import numpy as np
import pytest
from check_inputs import source_input

from trap.extraction.mesh import Background
from trap.quality.negative import check_negative, count_negative

FLAT = Background(
    mesh_mean=np.full((2, 2), 1.0, np.float32),
    mesh_rms=np.full((2, 2), 0.1, np.float32),
    shape=(40, 40),
    origin=(0, 0),
    extent=(40, 40),
    cell=(20, 20),
)
NOWHERE = np.zeros((40, 40), bool)


def sky(*holes):
    """Sky at its level of 1, with holes of 2 × 2 pixels."""
    data = np.full((40, 40), 1.0, np.float32)
    for x, y, depth in holes:
        data[y : y + 2, x : x + 2] -= depth
    return data


@pytest.mark.parametrize(
    ("holes", "number"), [((), 0), (((5, 5, 0.79),), 0), (((5, 5, 0.81),), 1), (((5, 5, 2.0), (20, 30, 1.0)), 2)]
)
def test_islands_below_the_threshold_are_counted(holes, number):
    assert count_negative(sky(*holes), FLAT, NOWHERE, 8.0) == number


def test_masked_pixels_do_not_count():
    mask = NOWHERE.copy()
    mask[:, :10] = True
    assert count_negative(sky((5, 5, 2.0), (20, 30, 1.0)), FLAT, mask, 8.0) == 1


def test_pixels_without_a_value_do_not_count():
    data = sky((5, 5, 2.0))
    data[5:7, 5:7] = np.nan
    assert count_negative(data, FLAT, NOWHERE, 8.0) == 0


def test_number_has_a_limit():
    assert check_negative(source_input(3, max_negative=3)).passed
    assert not check_negative(source_input(4, max_negative=3)).passed
