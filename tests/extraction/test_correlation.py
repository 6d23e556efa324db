from __future__ import annotations

import warnings

import numpy as np
import pytest
from sky_fixtures import Sky

from trap.extraction.celestial import beam_form
from trap.extraction.correlation import beam_correlation, valid_correlation
from trap.extraction.measure import extract_sources

SIZES = {"ordinary": (5.0, 4.0), "small": (2.2, 2.0), "long": (12.0, 3.0), "wide": (25.0, 20.0)}


def form_of(sky):
    image = sky.image(np.zeros((sky.ny, sky.nx)))
    return beam_form(image.require_beam(), image.wcs, (sky.ny, sky.nx))


def lowest_power(table, size=1024):
    """Evaluate the sum of a table times cosines on a finer grid than any that made it."""
    m = len(table) // 2
    angles = np.outer(np.arange(-m, m + 1), 2 * np.pi * np.arange(size // 2 + 1) / size)
    cos, sin = np.cos(angles), np.sin(angles)
    # By symmetry the sine parts cancel: Σ C cos(k y + q x) = Σ C (cos cos - sin sin), for both signs of q.
    even, odd = cos.T @ table @ cos, sin.T @ table @ sin
    return float(min((even - odd).min(), (even + odd).min()))


def pixel_covariance(table, x, y):
    """(n, n) — covariance of pixels, from a table of lags."""
    m = len(table) // 2
    u, v = np.subtract.outer(x, x), np.subtract.outer(y, y)
    is_near = np.maximum(abs(u), abs(v)) <= m
    return np.where(is_near, table[np.clip(v, -m, m) + m, np.clip(u, -m, m) + m], 0.0)


def crowd(sky, stamped, seed, n):
    """An image whose sources, of a steep count, cover most of it."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, [[sky.nx], [sky.ny]], (2, n))
    peak = 2 * sky.rms * (1 - rng.random(n)) ** (-1 / 1.5)
    return sky.image(stamped(x, y, np.minimum(peak, 1e4 * sky.rms)) + sky.noise(seed))


@pytest.mark.parametrize("size", SIZES)
def test_correlation_of_a_beam_is_a_covariance_and_hardly_changed(size):
    sky = Sky(bmaj=SIZES[size][0], bmin=SIZES[size][1])
    beam = beam_correlation(form_of(sky))
    valid = valid_correlation(beam)
    assert lowest_power(valid) > 0
    # The power at frequency 0: the lags below 0.05, which are tapered, have a hundredth of it.
    assert valid.sum() == pytest.approx(beam.sum(), rel=0.02)
    assert valid == pytest.approx(valid[::-1, ::-1], abs=1e-12)


@pytest.mark.parametrize("size", ["ordinary", "long"])
def test_any_measured_table_becomes_a_covariance(size):
    sky = Sky(bmaj=SIZES[size][0], bmin=SIZES[size][1])
    beam = beam_correlation(form_of(sky))
    for seed in range(5):
        chance = np.random.default_rng(seed).normal(0, 0.1, beam.shape)
        measured = beam + (chance + chance[::-1, ::-1]) / 2
        measured[len(beam) // 2, len(beam) // 2] = 1.0
        assert lowest_power(measured) < -1
        assert lowest_power(valid_correlation(beam, measured)) > 0


def test_correlation_of_empty_sky_is_changed_by_less_than_its_error(sky, config):
    """The truth is known: noise that was smoothed with the beam."""
    sky.nx = sky.ny = 512
    found = np.array([extract_sources(sky.image(sky.noise(seed)), config).background.correlation for seed in range(4)])
    truth, m = beam_correlation(form_of(sky)), found.shape[1] // 2
    near = np.s_[m - 3 : m + 4, m - 3 : m + 4]
    # A tile of 256² has 3,000 independent patches: 0.02 for a correlation, and half of it for the mean of four.
    assert abs(found[:, *near] - truth[near]).max() < 0.06
    assert found[:, *near].mean(axis=0) == pytest.approx(truth[near], abs=0.02)


@pytest.mark.parametrize(
    ("seeds", "n", "bmin", "force_beam"),
    [
        (range(3), 1500, 4.0, True),
        (range(3, 6), 1500, 4.0, False),
        (range(6, 9), 2500, 2.5, True),
        (range(9, 12), 2500, 2.5, False),
    ],
)
def test_crowded_skies_have_valid_errors_and_lose_no_source(sky, stamped, config, seeds, n, bmin, force_beam):
    sky.bmin = bmin
    config = config.model_copy(update={"force_beam": force_beam})
    rng = np.random.default_rng(n)
    for seed in seeds:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            extraction = extract_sources(crowd(sky, stamped, seed, n), config)
        sources, table = extraction.measurements, extraction.background.correlation
        assert len(sources) > 100
        assert sources.is_measured.all()
        assert lowest_power(table) > 0
        # An island with holes and without: eigenvalues of the covariance of its pixels.
        y, x = np.divmod(rng.permutation(24 * 24)[:300], 24)
        assert np.linalg.eigvalsh(pixel_covariance(table, x, y)).min() > 0
