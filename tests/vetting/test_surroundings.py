from __future__ import annotations

import math

import numpy as np
import pytest

from trap.vetting.surroundings import (
    deepest_negative,
    is_on_ring,
    mirror_excess,
    nearest_gap,
    reach_of_source,
    ring_significance,
)


def test_beam_of_a_source_ends_where_it_falls_below_the_noise():
    # The Gaussian falls to 1/16 at one full width; half a beam is added.
    reach = reach_of_source(np.array([16.0, -16.0, 16.0, 16.0]), np.array([1.0, 0.5, 3.0, np.nan]))
    assert reach == pytest.approx([1.5, 1.5, 3.5, 1.5])


def test_ring_has_the_candidates_distance_and_leaves_the_candidate_out():
    # The bright source is 30 beams to the right. The last pixel is 1.4 beams from the candidate.
    x = np.array([0.0, 60.0, 30.0, 30.0, 30.0, 0.1, 0.0])
    y = np.array([0.0, 0.0, 30.0, -30.3, 30.4, 1.6, 1.4])
    assert is_on_ring(x, y, (30.0, 0.0)).tolist() == [False, True, True, True, False, True, False]


def test_ring_of_either_sign_and_ring_above_zero_have_the_same_rms():
    alternating = np.tile([4.0, -4.0], 200)
    assert ring_significance(alternating, 8.0, 16.0) == pytest.approx(2)
    assert ring_significance(np.abs(alternating), 8.0, 16.0) == pytest.approx(2)


def test_bright_source_in_a_ring_counts_as_high_as_the_candidate():
    # 390 pixels of noise 1 and 10 pixels of a source: (390 + 10 · 100)/400 is the square of the rms.
    ring = np.concatenate([np.tile([1.0, -1.0], 195), np.full(10, 5000.0)])
    assert ring_significance(ring, 10.0, 16.0) == pytest.approx(10 / math.sqrt(1390 / 400))


def test_short_ring_has_no_rms():
    # A length of 10 beams of 4 pixels has 10 · 4 · 0.7 · 4 = 112 pixels.
    ring = np.ones(120)
    assert math.isnan(ring_significance(ring[:111], 5.0, 16.0))
    assert ring_significance(ring[:113], 5.0, 16.0) == 5
    assert math.isnan(ring_significance(np.full(100, np.nan), 5.0, 16.0))


def test_mirrored_place_has_its_strongest_pixel_with_its_sign():
    x, y = np.array([0.0, 0.5, 0.9]), np.zeros(3)
    assert mirror_excess(x, y, np.array([3.0, -5.0, 9.0])) == -5
    assert math.isnan(mirror_excess(x, y, np.full(3, np.nan)))


def test_deepest_negative_within_three_beams():
    x, y = np.array([0.0, 2.0, 2.7, 3.2]), np.zeros(4)
    assert deepest_negative(x, y, np.array([9.0, -4.0, np.nan, -7.0])) == (4.0, 2.0)
    assert deepest_negative(x, y, np.array([9.0, 1.0, 2.0, 0.5]))[0] == 0
    assert np.isnan(deepest_negative(x, y, np.full(4, np.nan))).all()


def test_gap_is_found_within_five_beams():
    x, y = np.array([3.0, 4.0, 6.0]), np.zeros(3)
    assert nearest_gap(x, y, np.array([False, True, True])) == 4
    assert nearest_gap(x, y, np.array([False, False, True])) == math.inf
