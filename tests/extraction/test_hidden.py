from __future__ import annotations

import numpy as np
import pytest

from trap.catalogues import Flag
from trap.extraction.measure import extract_sources


def found_in(sky, config, image):
    return extract_sources(sky.image(image), config).measurements


def beside(sky, x, y, widths, angle=1.0):
    """Return a position some beam widths (FWHM) from another, in a direction of the plane with a round beam."""
    turn = np.radians(sky.bpa)
    along, across = widths * np.array([sky.bmaj * np.cos(angle), sky.bmin * np.sin(angle)])
    return x - along * np.sin(turn) + across * np.cos(turn), y + along * np.cos(turn) + across * np.sin(turn)


@pytest.mark.parametrize("force_beam", [True, False])
def test_faint_source_on_the_shoulder_of_a_bright_one_is_found_with_its_flux(sky, config, force_beam):
    config = config.model_copy(update={"force_beam": force_beam})
    pulls = []
    for seed in range(12):
        x, y = beside(sky, 120.3, 130.6, 1.1, angle=seed)
        image = sky.sources([120.3, x], [130.6, y], [40 * sky.rms, 12 * sky.rms]) + sky.noise(seed)
        found = found_in(sky, config, image)
        assert len(found) == 2
        assert (found.flags & Flag.BLENDED > 0).all()
        pulls.append((found.f_peak - [40 * sky.rms, 12 * sky.rms]) / found.f_peak_err)
    assert np.abs(np.mean(pulls, axis=0)).max() < 3 / np.sqrt(12)
    assert 0.5 < np.std(pulls) < 1.5


def test_hidden_source_alone_takes_no_flux_from_its_neighbour(sky, config):
    x, y = beside(sky, 120.0, 130.0, 1.0)
    found = found_in(sky, config, sky.sources([120, x], [130, y], [1.0, 0.3]) + sky.noise(1))
    assert found.f_peak == pytest.approx([1.0, 0.3], abs=4 * sky.rms)
    assert found.x == pytest.approx([120, x], abs=0.02)
    assert found.island.tolist() == [1, 1]


def test_two_hidden_sources_are_found_one_after_the_other(sky, config):
    places = [beside(sky, 120.0, 130.0, 1.15, angle) for angle in (0.3, 2.4)]
    x, y = np.transpose([(120.0, 130.0), *places])
    found = found_in(sky, config, sky.sources(x, y, [1.0, 0.3, 0.2]) + sky.noise(2))
    assert np.sort(found.f_peak) == pytest.approx([0.2, 0.3, 1.0], abs=5 * sky.rms)


@pytest.mark.parametrize("force_beam", [True, False])
@pytest.mark.parametrize(("bmaj", "bmin"), [(5.5, 4.2), (7.0, 5.0), (9.0, 4.5), (14.0, 8.0)])
@pytest.mark.parametrize("signal_to_noise", [20, 100])
def test_resolved_source_stays_one(sky, config, force_beam, bmaj, bmin, signal_to_noise):
    config = config.model_copy(update={"force_beam": force_beam})
    grid = np.arange(40, 250, 56.0)
    x, y = (a.ravel() + 0.3 for a in np.meshgrid(grid, grid))
    image = sky.sources(x, y, np.full(x.size, signal_to_noise * sky.rms), bmaj=bmaj, bmin=bmin, bpa=80)
    assert len(found_in(sky, config, image + sky.noise(4))) == x.size


def test_hidden_sources_are_not_searched_without_deblending(sky, config):
    x, y = beside(sky, 120.0, 130.0, 1.1)
    image = sky.sources([120, x], [130, y], [1.0, 0.3]) + sky.noise(1)
    assert len(found_in(sky, config.model_copy(update={"deblend_nthresh": 0}), image)) == 1


def test_error_of_the_beam_around_a_bright_source_is_no_source(sky, config):
    # A source restored 3 % wider than in the header leaves a ring of several hundred σ times 1 %.
    image = sky.sources([120.2], [130.4], [1000 * sky.rms], bmaj=1.03 * sky.bmaj, bmin=1.03 * sky.bmin)
    assert len(found_in(sky, config, image + sky.noise(6))) == 1
