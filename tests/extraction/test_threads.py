from __future__ import annotations

import time
from functools import partial

import numpy as np
import pytest

from trap.extraction import background, measure
from trap.extraction import field as field_module
from trap.extraction.measure import extract_holes, extract_sources
from trap.extraction.threads import side_by_side


def test_results_come_in_the_order_of_the_calls():
    calls = [partial(lambda number: (time.sleep(0.01 * (number == 0)), number)[1], number) for number in range(9)]
    assert side_by_side(calls) == list(range(9))


@pytest.mark.parametrize("force_beam", [True, False])
def test_measurements_do_not_depend_on_the_number_of_threads(monkeypatch, sky, config, field, stamped, force_beam):
    config = config.model_copy(update={"force_beam": force_beam})
    image = sky.image(stamped(*field, 20 * sky.rms) + sky.noise(1))
    at_once = extract_sources(image, config).measurements
    monkeypatch.setattr(measure, "PART_ISLANDS", 10)
    monkeypatch.setattr(field_module, "BAND_ROWS", 50)
    monkeypatch.setattr(background, "CHUNK_PIXELS", 5000)
    in_parts = extract_sources(image, config).measurements
    assert len(at_once) > 100
    for name, column in at_once.as_dict().items():
        assert np.array_equal(column, getattr(in_parts, name), equal_nan=True), name


def test_holes_are_numbered_through_over_all_parts(monkeypatch, sky, config, field, stamped):
    image = sky.image(-stamped(*field, 20 * sky.rms) + sky.noise(1))
    extraction = extract_sources(image, config)
    at_once = extract_holes(image, extraction.background, config)
    monkeypatch.setattr(measure, "PART_ISLANDS", 7)
    in_parts = extract_holes(image, extraction.background, config)
    assert len(at_once) > 100
    assert np.array_equal(in_parts.island, at_once.island)
    assert np.array_equal(np.unique(in_parts.island), np.arange(in_parts.island.min(), 0))
