from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from busy_dataset import FIELD, MESH, REJECTION
from made_up_survey import sources

from trap.association.noise_history import NoiseTiles, tiles_within
from trap.db.limits import upper_limits


def image(day, rms, **options):
    tiles, ra, _ = tiles_within(6, 123.0, 10.0, 5.0)
    noise = np.where(ra > 124.0, 2 * rms, rms).astype(np.float32)
    made = FIELD.image(day, sources(122.0, 10.0), **options)
    return replace(made, background=MESH, noise_tiles=NoiseTiles(order=6, tile=tiles, rms=noise))


def test_limit_is_the_threshold_times_the_noise_at_the_position(make_dataset, ask):
    dataset = make_dataset()
    dataset.process(image(0, 1e-3), image(0, 3e-3, freq=180e6))
    dataset.process(image(1, 2e-3).rejected(REJECTION))
    dataset.process(image(2, 4e-3))
    limits = ask(upper_limits, dataset.id, 126.0, 10.0)
    # The noise in the east is doubled, and the threshold is six times the noise; the rejected image has no limit.
    assert limits["rms"] == pytest.approx([2e-3, 6e-3, 8e-3])
    assert limits["upper_limit"] == pytest.approx([12e-3, 36e-3, 48e-3])
    assert limits["freq_eff"].tolist() == [140e6, 180e6, 140e6]


def test_sky_that_no_image_was_searched_at_has_no_limit(make_dataset, ask):
    dataset = make_dataset()
    dataset.process(image(0, 1e-3))
    assert len(ask(upper_limits, dataset.id, 200.0, 10.0)["image"]) == 0
