from __future__ import annotations

import numpy as np
import pytest

from trap.extraction import background, threads
from trap.extraction import sky as sky_module
from trap.extraction.measure import extract_sources
from trap.extraction.threads import over_islands


@pytest.mark.parametrize("n", [1, 6, 7, 8, 30])
def test_rows_come_in_the_order_of_the_islands(monkeypatch, n):
    monkeypatch.setattr(threads, "PART", 7)
    counts = np.random.default_rng(n).integers(0, 4, n)
    first = np.concatenate([[0], np.cumsum(counts)])
    offsets = 10 * np.arange(n + 1)

    def kernel(some_offsets, some_first):
        # Of each component where its island's pixels start.
        return np.repeat(some_offsets[:-1], np.diff(some_first)).astype(float)

    assert over_islands(kernel, offsets, first).tolist() == np.repeat(offsets[:-1], counts).tolist()


@pytest.mark.parametrize("force_beam", [True, False])
def test_measurements_do_not_depend_on_the_number_of_threads(monkeypatch, sky, config, field, stamped, force_beam):
    config = config.model_copy(update={"force_beam": force_beam})
    image = sky.image(stamped(*field, 20 * sky.rms) + sky.noise(1))
    at_once = extract_sources(image, config).measurements
    monkeypatch.setattr(threads, "PART", 10)
    monkeypatch.setattr(sky_module, "BAND", 50)
    monkeypatch.setattr(background, "CHUNK_PIXELS", 5000)
    in_parts = extract_sources(image, config).measurements
    assert len(at_once) > 100
    for name, column in at_once.as_dict().items():
        assert np.array_equal(column, getattr(in_parts, name), equal_nan=True), name
