from __future__ import annotations

import numpy as np
import pytest
from plain_field import field_of, islands_of

from trap.config import SourceExtractionConfig
from trap.extraction.deblend import deblend

CONFIG = SourceExtractionConfig(detection_threshold=5, analysis_threshold=3)


def deblended(rows, config=CONFIG):
    islands = islands_of(field_of(rows), analysis=config.analysis_threshold, detection=config.detection_threshold)
    return islands, deblend(islands, config)


def test_two_peaks_with_a_saddle_are_two_components_the_brighter_first():
    islands, parts = deblended([[5, 10, 5, 4, 6, 20, 6]])
    assert parts.counts.tolist() == [2]
    assert parts.component[np.argsort(islands.x)].tolist() == [1, 1, 1, 0, 0, 0, 0]


def test_single_peak_is_one_component():
    assert deblended([[4, 6, 20, 6, 4]])[1].counts.tolist() == [1]


def test_peak_below_the_detection_threshold_is_no_component():
    assert deblended([[3.1, 4.9, 3.1, 20, 4]])[1].counts.tolist() == [1]


def test_rise_that_noise_can_make_is_no_component():
    assert deblended([[8, 10, 9.1, 10.4, 8]])[1].counts.tolist() == [1]


def test_flat_top_is_one_component():
    assert deblended([[4, 9, 9, 9, 4]])[1].counts.tolist() == [1]


def test_three_peaks_in_a_row_are_three_components():
    _, parts = deblended([[5, 10, 5, 15, 5, 20, 5]])
    assert parts.counts.tolist() == [3]
    assert set(parts.component.tolist()) == {0, 1, 2}


def test_peak_with_too_little_of_the_flux_is_no_component():
    assert deblended([[3000, 10000, 3000, 30, 33, 30]])[1].counts.tolist() == [1]


def test_deblending_can_be_switched_off():
    config = CONFIG.model_copy(update={"deblend_nthresh": 0})
    assert deblended([[5, 10, 5, 4, 6, 20, 6]], config)[1].counts.tolist() == [1]


def test_components_are_numbered_within_their_own_island():
    islands, parts = deblended([[5, 10, 4, 20, 6, 0, 0, 9], [0, 0, 0, 0, 0, 0, 0, 9]])
    assert parts.counts.tolist() == [2, 1]
    assert set(parts.component[islands.pixels(0)].tolist()) == {0, 1}
    assert set(parts.component[islands.pixels(1)].tolist()) == {0}


def test_image_without_islands_has_no_components():
    assert len(deblended([[0, 0]])[1].counts) == 0


@pytest.mark.parametrize("peak_share", [1.0, 0.5])
def test_point_sources_1p2_beams_apart_are_two_components(sky, peak_share):
    # Along the minor axis, where the beam is 4 pixels wide; at S/N 1000 noise does not matter.
    angle = np.radians(sky.bpa)
    dx, dy = 4.8 * np.cos(angle), 4.8 * np.sin(angle)
    _, parts = deblended(sky.sources([100, 100 + dx], [80, 80 + dy], [1000, 1000 * peak_share]))
    assert parts.counts.tolist() == [2]


def test_resolved_source_is_not_shredded_by_noise(sky):
    for seed in range(3):
        image = sky.sources([130], [120], [30.0], bmaj=20, bmin=16) + sky.noise(seed) / sky.rms
        _, parts = deblended(image)
        assert parts.counts.max() == 1
