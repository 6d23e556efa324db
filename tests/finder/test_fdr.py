from __future__ import annotations

import numpy as np
import pytest

from trap.finder.fdr import correlation_factor, fdr_threshold


def test_correlation_factor_is_the_harmonic_number_of_the_beam():
    assert correlation_factor(4.4) == pytest.approx(1 + 1 / 2 + 1 / 3 + 1 / 4)
    assert correlation_factor(0.2) == 1


def test_last_pixel_below_the_line_sets_the_threshold():
    # N = 4, independent, α = 0.04: limits 0.01 j. Tails: 3.0 → 0.00135, 2.1 → 0.0179, and 1.8 → 0.0359 > 0.03.
    pixels = np.array([0.0, 1.8, 3.0, 2.1])
    assert fdr_threshold(pixels, alpha=0.04, beam_area=1) == 2.1


def test_step_up_reaches_past_a_pixel_that_fails():
    # Limits 0.01 j of 4: 2.2 → 0.0139 > 0.01 fails alone, 2.1 → 0.0179 < 0.02 carries it.
    assert fdr_threshold(np.array([0.0, 0.0, 2.2, 2.1]), alpha=0.04, beam_area=1) == 2.1


def test_pixels_without_a_value_do_not_count():
    pixels = np.array([0.0, 1.8, 3.0, 2.1])
    padded = np.concatenate([pixels, np.full(1000, np.nan)])
    assert fdr_threshold(padded, alpha=0.04, beam_area=1) == fdr_threshold(pixels, alpha=0.04, beam_area=1)


def test_threshold_without_sources_is_infinite():
    assert fdr_threshold(np.zeros(10), alpha=0.01, beam_area=1) == np.inf
    assert fdr_threshold(np.full(10, np.nan), alpha=0.01, beam_area=1) == np.inf


def test_deep_negative_pixels_change_nothing():
    pixels = np.random.default_rng(3).standard_normal(1000)
    pixels[:10] = 6.0
    deep = pixels.copy()
    deep[deep < 0] -= 20
    assert fdr_threshold(deep, alpha=0.01, beam_area=1) == fdr_threshold(pixels, alpha=0.01, beam_area=1)


def test_brightest_pixels_do_not_underflow():
    pixels = np.concatenate([np.zeros(1000), [500.0, 400.0]])
    assert fdr_threshold(pixels, alpha=0.01, beam_area=1) == 400.0


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, np.nan])
def test_impossible_alpha_is_rejected(alpha):
    with pytest.raises(ValueError, match="alpha must lie between 0 and 1"):
        fdr_threshold(np.zeros(3), alpha=alpha, beam_area=1)


def test_correlated_noise_gives_no_detection(sky):
    sky.nx = sky.ny = 192
    area = np.pi / 4 * sky.bmaj * sky.bmin
    thresholds = [fdr_threshold(sky.noise(seed) / sky.rms, alpha=0.01, beam_area=area) for seed in range(20)]
    # Under noise alone the chance of any detection is at most α per image: 0.2 expected in 20.
    assert np.isinf(thresholds).sum() >= 19


def test_share_of_noise_among_detected_pixels_stays_below_alpha(sky):
    sky.nx = sky.ny = 256
    rng, grid = np.random.default_rng(4), np.arange(16, 250, 16.0)
    x, y = (a.ravel() for a in np.meshgrid(grid, grid))
    truth = sky.sources(x[::2], y[::2], sky.rms * 10 ** rng.uniform(0.5, 1.5, x[::2].size))
    n_found, n_false = 0, 0
    for seed in range(5):
        significance = (truth + sky.noise(seed)) / sky.rms
        found = significance >= fdr_threshold(significance, alpha=0.05, beam_area=np.pi / 4 * sky.bmaj * sky.bmin)
        n_found += found.sum()
        n_false += (found & (truth < 0.1 * sky.rms)).sum()
    assert n_found > 1000
    assert n_false / n_found < 0.05
