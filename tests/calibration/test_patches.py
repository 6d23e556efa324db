"""Parts of a field whose sources brighten together."""

from __future__ import annotations

import numpy as np
import pytest

from trap.calibration.patches import MIN_CALIBRATORS, find_patch

MIN_SNR, MIN_GAIN = 5.0, 0.1  # of a finding


def field(rng, n, *, scatter=0.03, variables=0.0):
    """Calibrators of S/N 10 to 1000 with the counts of real skies, scattering by 3 % beyond their noise."""
    u, v = rng.uniform(-1, 1, (2, n))
    error = np.maximum(0.1 * rng.uniform(0, 1, n) ** (1 / 1.5), 0.001)
    log_ratios = rng.normal(0, np.hypot(error, scatter))
    log_ratios += np.where(rng.random(n) < variables, rng.normal(0, 0.4, n), 0.0)
    return u, v, log_ratios, error**2


def is_found(patch):
    return abs(patch.snr) >= MIN_SNR and abs(patch.gain) >= MIN_GAIN


@pytest.mark.parametrize(("n", "gain"), [(200, 0.25), (200, -0.25), (500, 0.15)])
def test_injected_patch_is_found_at_its_place(n, gain):
    found = 0
    for seed in range(15):
        rng = np.random.default_rng([seed, n])
        u, v, log_ratios, variances = field(rng, n, variables=0.03)
        centre, radius = rng.uniform(-0.5, 0.5, 2), 0.5  # a fifth of the field
        inside = np.hypot(u - centre[0], v - centre[1]) < radius
        patch = find_patch(u, v, log_ratios + np.where(inside, np.log1p(gain), 0.0), variances)
        assert np.hypot(patch.u - centre[0], patch.v - centre[1]) < radius
        assert 0.65 < patch.gain / gain < 1.25
        found += is_found(patch)
    assert found >= 14


def test_steady_fields_have_no_patch():
    # Significances allow for the number of places: above 3 σ chance has a share of 0.003, of 2 σ 0.05.
    patches = []
    for seed in range(600):
        rng = np.random.default_rng([77, seed])
        scatter, variables = rng.choice([0.0, 0.03, 0.1]), rng.choice([0.0, 0.05, 0.2])
        patches.append(find_patch(*field(rng, int(rng.integers(20, 150)), scatter=scatter, variables=variables)))
    assert sum(map(is_found, patches)) == 0
    snr = np.abs([patch.snr for patch in patches])
    assert np.mean(snr > 3) < 0.01
    assert np.mean(snr > 2) < 0.05


@pytest.mark.parametrize("factor", [3.0, 0.2])
def test_one_variable_is_no_patch_however_bright(factor):
    for seed in range(20):
        u, v, log_ratios, variances = field(np.random.default_rng([5, seed]), 60)
        log_ratios[7], variances[7] = np.log(factor), 1e-6
        assert abs(find_patch(u, v, log_ratios, variances).snr) < 3


def test_patch_depends_neither_on_the_order_of_rows_nor_on_the_gain_of_the_image():
    rng = np.random.default_rng(8)
    u, v, log_ratios, variances = field(rng, 120)
    first = find_patch(u, v, log_ratios, variances)
    order = rng.permutation(120)
    again = find_patch(u[order], v[order], log_ratios[order] + 0.7, variances[order])
    np.testing.assert_allclose(again, first, rtol=1e-9)


def test_few_calibrators_have_no_patch():
    rng = np.random.default_rng(1)
    assert np.isnan(find_patch(*field(rng, MIN_CALIBRATORS - 1))).all()
    u, v, log_ratios, variances = field(rng, MIN_CALIBRATORS)
    assert np.isfinite(find_patch(u, v, log_ratios, variances)).all()
    log_ratios[3] = np.nan
    assert np.isnan(find_patch(u, v, log_ratios, variances)).all()


def test_equal_ratios_make_no_patch():
    n = 50
    rng = np.random.default_rng(2)
    patch = find_patch(*rng.uniform(-1, 1, (2, n)), np.full(n, 0.1), np.zeros(n))
    assert abs(patch.gain) < 1e-9
    assert patch.snr == pytest.approx(0)
