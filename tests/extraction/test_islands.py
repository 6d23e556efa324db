from __future__ import annotations

import numpy as np
import pytest

from trap.catalogues import Flag
from trap.config import SourceExtractionConfig
from trap.extraction.islands import SkyMaps, find_islands, flag_islands, with_surroundings

CONFIG = SourceExtractionConfig(detection_threshold=5, analysis_threshold=3)


def maps_of(rows, mask=None, rms=1.0):
    value = np.array(rows, np.float32)
    masked = np.zeros(value.shape, bool) if mask is None else np.array(mask, bool)
    return SkyMaps(value=value, rms=np.full(value.shape, rms, np.float32), mask=masked)


def pixel_sets(islands):
    return [
        set(zip(islands.x[p].tolist(), islands.y[p].tolist(), strict=True))
        for p in map(islands.pixels, range(len(islands)))
    ]


def test_island_reaches_down_to_the_analysis_threshold():
    islands = find_islands(maps_of([[0, 3.5, 6, 3.2, 2.9, 0]]), CONFIG)
    assert pixel_sets(islands) == [{(1, 0), (2, 0), (3, 0)}]
    assert islands.value.tolist() == pytest.approx([3.5, 6, 3.2])


def test_island_below_the_detection_threshold_is_none():
    assert len(find_islands(maps_of([[0, 4.9, 4.9, 0]]), CONFIG)) == 0


def test_peak_exactly_at_the_detection_threshold_counts():
    assert len(find_islands(maps_of([[0, 5, 0]]), CONFIG)) == 1


def test_single_pixel_is_an_island_when_both_thresholds_are_its_significance():
    config = SourceExtractionConfig(detection_threshold=5, analysis_threshold=5)
    assert len(find_islands(maps_of([[0, 5, 0]]), config)) == 1


def test_pixels_that_touch_at_a_corner_are_one_island():
    assert len(find_islands(maps_of([[6, 0, 0], [0, 6, 0], [0, 0, 6]]), CONFIG)) == 1


def test_islands_come_in_the_order_of_the_image_each_with_its_own_pixels():
    islands = find_islands(maps_of([[0, 0, 0, 0, 7], [0, 0, 0, 0, 4], [8, 0, 3.5, 0, 0], [4, 0, 0, 0, 0]]), CONFIG)
    assert pixel_sets(islands) == [{(4, 0), (4, 1)}, {(0, 2), (0, 3)}]
    assert islands.island.tolist() == [0, 0, 1, 1]


def test_masked_pixels_belong_to_no_island():
    islands = find_islands(maps_of([[9, 9, 9]], mask=[[1, 0, 1]]), CONFIG)
    assert pixel_sets(islands) == [{(1, 0)}]


def test_significance_is_that_of_the_local_noise():
    maps = maps_of([[6, 0, 6]])
    maps.rms[0, 2] = 2
    assert pixel_sets(find_islands(maps, CONFIG)) == [{(0, 0)}]


def test_image_without_noise_has_no_islands():
    assert len(find_islands(maps_of([[1, 2, 3]], rms=np.nan), CONFIG)) == 0


def test_island_at_the_edge_and_island_at_a_gap_are_flagged():
    rows = np.zeros((9, 9))
    rows[0, 4], rows[4, 4], rows[7, 7], rows[7, 2] = 9, 9, 9, 9
    mask = np.zeros((9, 9), bool)
    mask[3, 3] = True  # no value
    mask[8, 8] = True  # outside the searched area
    has_value = np.ones((9, 9), bool)
    has_value[3, 3] = False
    maps = maps_of(rows, mask)
    flags = flag_islands(find_islands(maps, CONFIG), maps, has_value)
    assert flags.tolist() == [Flag.EDGE, Flag.MASKED_PIXELS, 0, Flag.EDGE]


def test_surroundings_of_small_islands_leave_out_masked_pixels_and_other_islands():
    rows = np.zeros((5, 7))
    rows[2, 2], rows[2, 4:] = 9, 9
    mask = np.zeros(rows.shape, bool)
    mask[1, 1] = True
    maps = maps_of(rows, mask)
    islands = find_islands(maps, CONFIG)
    grown = with_surroundings(islands, maps, needed=np.array([6, 2]), reach=(1, 2))
    expected = {(x, y) for x in range(5) for y in (1, 2, 3)} - {(1, 1), (4, 2)}
    assert pixel_sets(grown) == [expected, {(4, 2), (5, 2), (6, 2)}]


def test_large_islands_stay_as_they_are():
    maps = maps_of([[0, 6, 6, 0]])
    islands = find_islands(maps, CONFIG)
    assert with_surroundings(islands, maps, needed=np.array([2]), reach=(1, 1)) is islands
