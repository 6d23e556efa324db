"""Negative peaks on tiles of the sky."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import poisson

from trap.association.entries import LightCurveKey
from trap.association.negative_peaks import (
    ALL_SKY_DEG2,
    TILE_BEAMS,
    NegativeHistory,
    NegativePeaks,
    chance_of,
    tail,
)

KEY = LightCurveKey(0, 1)
BEAM = 9 / 3600


def test_tile_is_at_most_sixteen_beams_wide_and_more_than_half_of_that():
    peaks = NegativePeaks.at([10.0], [0.0], [1.0], beam=BEAM)
    (order,) = NegativeHistory().sums(KEY, peaks).orders
    width = np.sqrt(ALL_SKY_DEG2 / (12 * 4.0**order))
    assert TILE_BEAMS / 2 * BEAM < width <= TILE_BEAMS * BEAM


def test_peak_without_a_position_is_left_out():
    assert len(NegativePeaks.at([10.0, np.nan], [0.0, np.nan], [1.0, 2.0], beam=BEAM)) == 1
    assert len(NegativePeaks.at([np.nan], [np.nan], [1.0], beam=BEAM)) == 0


@pytest.mark.parametrize(("ra", "dec"), [(0.0, 0.0), (359.9999, 44.9), (123.0, -89.999), (45.0, 41.8103)])
def test_peaks_are_summed_around_a_position_anywhere(ra, dec):
    history = NegativeHistory()
    history.add(KEY, NegativePeaks.at([ra, ra], [dec, dec + 2 * BEAM], [1.5, 0.5], beam=BEAM))
    history.add(LightCurveKey(1, 1), NegativePeaks.at([ra], [dec], [9.0], beam=BEAM))
    # An image with a beam of twice the width has tiles of another order.
    more = NegativePeaks.at([ra, ra], [dec, dec - 1.0 if dec > 0 else dec + 1.0], [0.25, 4.0], beam=2 * BEAM)
    n, depth, expected = history.sums(KEY, more).around([ra], [dec], density=[2.0])
    assert (n[0], depth[0]) == (3, 2.25)
    # Nine tiles of the larger size, at most sixteen beams of twice the width.
    assert 9 * (8 * 2 * BEAM) ** 2 < expected[0] / 2 <= 9 * (16 * 2 * BEAM) ** 2


def test_sums_do_not_depend_on_the_order_of_the_images():
    rng = np.random.default_rng(2)
    images = [NegativePeaks.at(*rng.uniform(0, 1, (2, 20)), rng.exponential(size=20), beam=BEAM) for _ in range(20)]
    first, second = NegativeHistory(), NegativeHistory()
    for image in images:
        first.add(KEY, image)
    for image in images[::-1]:
        second.add(KEY, image)
    ours, theirs = (history.sums(KEY, NegativePeaks.empty()) for history in (first, second))
    assert ours.tile.tolist() == theirs.tile.tolist()
    assert ours.depth.tolist() == theirs.depth.tolist()
    assert ours.n.sum() == 400


def test_clusters_are_left_out_of_the_field():
    history = NegativeHistory()
    rng = np.random.default_rng(4)
    history.add(KEY, NegativePeaks.at(*rng.uniform(0, 1, (2, 50)), np.full(50, 0.25), beam=BEAM))
    cluster = NegativePeaks.at(np.full(40, 0.5), np.full(40, 0.5), np.full(40, 8.0), beam=BEAM)
    n, depth = history.sums(KEY, cluster).unclustered(density=50.0)
    assert 45 <= n <= 50
    assert depth == 0.25 * n


def test_history_does_not_change_when_an_image_is_only_compared():
    history = NegativeHistory()
    history.sums(KEY, NegativePeaks.at([1.0], [1.0], [1.0], beam=BEAM))
    assert len(history.sums(KEY, NegativePeaks.empty()).tile) == 0


@pytest.mark.parametrize(("n", "mean"), [(1, 1e-3), (3, 0.5), (40, 12.5), (2000, 1800.0), (10**6, 9.9e5)])
def test_chance_of_so_many_events_is_that_of_a_poisson_process(n, mean):
    assert chance_of(n, mean) == pytest.approx(poisson.sf(n - 1, mean), rel=1e-6)


def test_chance_of_no_more_than_expected_is_one():
    assert (chance_of(0, 0.0), chance_of(3, 3.0), chance_of(1, 0.0)) == (1.0, 1.0, 0.0)


def test_tail_falls_off_by_e_per_mean_depth():
    assert tail(100, 150.0, [-1.0, 0.0, 3.0]) == pytest.approx([100, 100, 100 * np.exp(-2.0)])
    assert tail(0, 0.0, [0.0, 1.0]).tolist() == [0, 0]
