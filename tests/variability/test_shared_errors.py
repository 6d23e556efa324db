"""Errors that neighbouring epochs share: how they are measured, and what they leave of the degrees of freedom."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import chdtrc
from scipy.stats import kstest

from trap.variability.shared_errors import (
    INDEPENDENT,
    MIN_CURVES,
    MIN_POINTS,
    SharedErrors,
    degrees_of_freedom,
    measure_correlation,
)

ERROR = 1e-3


def autoregressive(rng, n_sources, n_epochs, rho):
    """Noise of unit variance whose correlation falls by a factor ``rho`` from epoch to epoch."""
    noise = rng.normal(size=(n_sources, n_epochs))
    for epoch in range(1, n_epochs):
        noise[:, epoch] = rho * noise[:, epoch - 1] + np.sqrt(1 - rho**2) * noise[:, epoch]
    return noise


def measured(noise, present=None, flux=0.1):
    """Measure the correlation of light curves of constant sources with some noise in units of the errors."""
    present = np.ones(noise.shape, bool) if present is None else present
    curve, epoch = np.nonzero(present)
    return measure_correlation(curve, epoch, flux + ERROR * noise[present], np.full(len(curve), ERROR))


def p_values(noise, lags):
    """Probabilities of η of constant sources with errors of 1."""
    freedom, scale = SharedErrors(lags=lags).freedom(np.full(len(noise), noise.shape[1]))
    return chdtrc(freedom, noise.var(axis=1) * noise.shape[1] / scale)


@pytest.mark.parametrize("lags", [[0.3], [0.5, 0.25, 0.125], [0.9, 0.8, 0.7, 0.6, 0.5]])
def test_freedom_matches_both_moments_of_the_quadratic_form(lags):
    lengths = np.array([2, 3, 30, 5, 7, 11, 3])
    freedom, scale = SharedErrors(lags=np.array(lags)).freedom(lengths)
    for i, n in enumerate(lengths):
        correlation = np.concatenate([[1.0], lags, np.zeros(n)])
        matrix = correlation[np.abs(np.subtract.outer(np.arange(n), np.arange(n)))]
        form = (np.eye(n) - 1 / n) @ matrix
        # Mean and variance of Q are tr and 2 tr of the square; those of c times χ² are c ν and 2 c² ν.
        assert freedom[i] * scale[i] == pytest.approx(np.trace(form))
        assert freedom[i] * scale[i] ** 2 == pytest.approx(np.trace(form @ form))
        assert freedom[i] <= n - 1 + 1e-9


def test_independent_epochs_leave_one_degree_of_freedom_fewer_than_points():
    freedom, scale = INDEPENDENT.freedom(np.array([1, 2, 60]))
    assert freedom[1:].tolist() == [1.0, 59.0]
    assert np.isnan(freedom[0])
    assert scale.tolist() == [1.0, 1.0, 1.0]


def test_errors_without_any_freedom_have_no_probability():
    # Two points with fully correlated errors never differ.
    freedom, scale = SharedErrors(lags=np.array([1.0])).freedom(np.array([1, 2]))
    assert np.isnan(freedom).all()
    assert np.isnan(scale).all()


def test_every_band_and_stokes_parameter_has_its_own_freedom():
    n, bands, stokes = np.full(4, 40), np.array([7, 7, 8, 8]), np.array([1, 4, 1, 4])
    shared = SharedErrors(lags=np.array([0.5]))
    freedom, scale = degrees_of_freedom(n, bands, stokes, {(8, 1): shared})
    assert freedom[[0, 1, 3]].tolist() == [39.0, 39.0, 39.0]
    assert (freedom[2], scale[2]) == tuple(values[0] for values in shared.freedom(n[:1]))


def test_shared_errors_are_measured_and_leave_uniform_probabilities():
    rng = np.random.default_rng(1)
    uniform, without = [], []
    for _ in range(20):
        noise = autoregressive(rng, 300, 60, 0.5)
        lags = measured(noise)
        # The mean of a correlation over 300 sources has an error of about 1/√(300 · 60) = 0.0075.
        assert lags[:3] == pytest.approx([0.5, 0.25, 0.125], abs=0.04)
        uniform.append(kstest(p_values(noise, lags), "uniform").pvalue)
        without.append(kstest(p_values(noise, np.empty(0)), "uniform").pvalue)
    assert sum(p > 0.01 for p in uniform) >= 18
    assert np.median(without) < 0.01


def test_probabilities_of_many_sources_are_nearly_uniform():
    rng = np.random.default_rng(2)
    noise = autoregressive(rng, 10_000, 60, 0.5)
    lags = measured(noise[:300])
    p, without = p_values(noise, lags), p_values(noise, np.empty(0))
    assert kstest(p, "uniform").statistic < 0.03
    assert kstest(without, "uniform").statistic > 0.06
    # Of 10,000 sources, 10 have a probability below 0.001. Only the first two moments are matched.
    assert (p < 1e-3).sum() < 30 < (without < 1e-3).sum()


def test_independent_errors_have_no_correlation():
    rng = np.random.default_rng(2)
    found = [measured(rng.normal(size=(100, n))) for n in (20, 60, 150) for _ in range(40)]
    assert sum(len(lags) > 0 for lags in found) <= 1


@pytest.mark.parametrize("share", [0.0, 0.8])
def test_a_gain_error_that_is_white_in_time_has_no_correlation(share):
    # All sources of an image have the same error, so that hundreds of them are no more than one for this purpose.
    rng = np.random.default_rng(3)
    found = [measured(share * rng.normal(size=(100, 60)) + rng.normal(size=60)) for _ in range(60)]
    assert sum(len(lags) > 0 for lags in found) <= 1
    seen = rng.random((100, 60)) < 0.8
    assert not len(measured(share * rng.normal(size=(100, 60)) + rng.normal(size=60), seen))


def test_a_gain_error_that_changes_slowly_is_found():
    rng = np.random.default_rng(4)
    lags = measured(np.sqrt(0.5) * (rng.normal(size=(100, 300)) + autoregressive(rng, 1, 300, 0.8)))
    # Half of the variance is common, so that the correlation is 0.4, with an error of 2/√300 · 0.4 or so.
    assert lags[0] == pytest.approx(0.4, abs=0.12)


@pytest.mark.parametrize("n_epochs", [20, 60])
@pytest.mark.parametrize("amplitude", [2.0, 30.0])
def test_a_few_strong_smooth_variables_have_no_influence(n_epochs, amplitude):
    rng = np.random.default_rng(5)
    noise = rng.normal(size=(200, n_epochs))
    phase = np.linspace(0, 2 * np.pi, n_epochs) * rng.uniform(0.5, 2, (6, 1)) + rng.uniform(0, 6, (6, 1))
    noise[:6] += amplitude * np.sin(phase)
    assert not len(measured(noise))


@pytest.mark.parametrize(("n_sources", "n_epochs"), [(200, MIN_POINTS - 1), (MIN_CURVES - 1, 200)])
def test_short_and_few_light_curves_are_not_examined(n_sources, n_epochs):
    assert not len(measured(autoregressive(np.random.default_rng(6), n_sources, n_epochs, 0.9)))


def test_rounding_errors_of_constant_sources_are_no_correlation():
    rising = 1e-12 * np.arange(100.0)
    assert not len(measured(np.tile(rising, (50, 1)), flux=0.1))
