from __future__ import annotations

import time
from functools import partial

import numpy as np
import pytest

from trap.extraction import background, measure
from trap.extraction import sky as sky_module
from trap.extraction.measure import extract_sources
from trap.extraction.threads import side_by_side


def test_results_come_in_the_order_of_the_calls():
    calls = [partial(lambda number: (time.sleep(0.01 * (number == 0)), number)[1], number) for number in range(9)]
    assert side_by_side(calls) == list(range(9))


@pytest.mark.parametrize("force_beam", [True, False])
def test_measurements_do_not_depend_on_the_number_of_threads(monkeypatch, sky, config, field, stamped, force_beam):
    config = config.model_copy(update={"force_beam": force_beam})
    image = sky.image(stamped(*field, 20 * sky.rms) + sky.noise(1))
    at_once = extract_sources(image, config).measurements
    monkeypatch.setattr(measure, "PART", 10)
    monkeypatch.setattr(sky_module, "BAND", 50)
    monkeypatch.setattr(background, "CHUNK_PIXELS", 5000)
    in_parts = extract_sources(image, config).measurements
    assert len(at_once) > 100
    for name, column in at_once.as_dict().items():
        assert np.array_equal(column, getattr(in_parts, name), equal_nan=True), name
