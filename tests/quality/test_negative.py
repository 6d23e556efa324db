"""Negative sources."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from check_inputs import source_input

from trap.association.noise_peaks import SearchedArea
from trap.extraction.mesh import Background
from trap.quality.negative import check_negative, find_negative, measure_area

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


def depths(data, mask=NOWHERE):
    return find_negative(data, FLAT, mask, 8.0)[2]


@pytest.mark.parametrize(
    ("holes", "number"), [((), 0), (((5, 5, 0.79),), 0), (((5, 5, 0.81),), 1), (((5, 5, 2.0), (20, 30, 1.0)), 2)]
)
def test_islands_below_the_threshold_are_counted(holes, number):
    assert len(depths(sky(*holes))) == number


def test_masked_pixels_do_not_count():
    mask = NOWHERE.copy()
    mask[:, :10] = True
    assert len(depths(sky((5, 5, 2.0), (20, 30, 1.0)), mask)) == 1


def test_pixels_without_a_value_do_not_count():
    data = sky((5, 5, 2.0))
    data[5:7, 5:7] = np.nan
    assert len(depths(data)) == 0


def test_depth_is_that_of_the_lowest_pixel_below_the_threshold():
    data = sky((5, 5, 1.0), (30, 30, 0.9))
    data[6, 6] -= 0.5
    # 1.5 and 0.9 below the level, with a noise of 0.1.
    x, y, depth = find_negative(data, FLAT, NOWHERE, 8.0)
    assert depth == pytest.approx([7.0, 1.0], abs=1e-4)
    assert (x.tolist(), y.tolist()) == ([6, 30], [6, 30])


def test_pixels_that_touch_at_a_corner_are_one_peak():
    data = sky((5, 5, 1.0), (7, 7, 1.0))
    assert len(depths(data)) == 1


def test_area_counts_searched_pixels_and_beams_by_the_correlation_of_the_noise():
    mask = NOWHERE.copy()
    mask[:, :10] = True
    # A beam 4 pixels wide. Noise that is correlated like it has as many beams as the area has beam widths squared.
    y, x = np.mgrid[-2:3, -2:3]
    like_beam = replace(FLAT, correlation=0.5 ** ((x**2 + y**2) / 2.0**2))
    beam = 2 * np.log(2) / 2.0**2 * np.array([1.0, 0.0, 1.0])
    area = measure_area(like_beam, mask, 8.0, beam=beam, n_negative=3)
    assert area == SearchedArea(n_pixels=1200, n_beams=1200 // 4**2, n_negative=3, threshold=8.0, cell_pixels=400)
    # Without a measured correlation, noise is taken for white noise that was convolved with the beam: half the beams.
    assert measure_area(FLAT, mask, 8.0, beam=beam, n_negative=0).n_beams == round(1200 / 4**2 / 2)


def test_image_without_a_searched_pixel_has_no_area():
    assert len(depths(np.full((40, 40), np.nan, np.float32), ~NOWHERE)) == 0
    area = measure_area(FLAT, ~NOWHERE, 8.0, beam=np.array([0.3, 0.0, 0.3]), n_negative=0)
    assert (area.n_pixels, area.n_beams) == (0, 0)


def test_number_has_a_limit():
    assert check_negative(source_input(3, max_negative=3)).passed
    assert not check_negative(source_input(4, max_negative=3)).passed
