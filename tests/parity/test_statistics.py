from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import erf

from trap.extraction.background import _truncation_table
from trap.kernels.statistics import clipped_moments


def twin(sample, n_sigma=2.0):
    """Clip one sample, the σ being solved for instead of looked up."""
    values = np.sort(sample[~np.isnan(sample)]).astype(float)
    limit = np.inf
    while True:
        median, sigma = np.median(values), untruncated(values.std(), limit)
        limit = n_sigma * sigma
        kept = values[np.abs(values - median) <= limit]
        if kept.size in (0, values.size):
            return median, values.mean(), sigma
        values = kept


def untruncated(deviation, limit):
    def left_of(sigma):
        u = limit / (np.sqrt(2) * sigma)
        return sigma * np.sqrt(1 - 2 * u * np.exp(-(u**2)) / (np.sqrt(np.pi) * erf(u)))

    low, high = 0.15 * limit, 2.0 * limit
    if not np.isfinite(limit) or limit == 0 or deviation < left_of(low):
        return deviation
    return high if deviation > left_of(high) else brentq(lambda sigma: left_of(sigma) - deviation, low, high)


def clipped(samples):
    return np.array(clipped_moments(np.sort(np.float32(samples), axis=1), 2.0, *_truncation_table()))


@pytest.mark.parametrize("n_bright", [0, 3, 60])
def test_rows_are_clipped_as_one_by_one(n_bright):
    rng = np.random.default_rng(n_bright)
    samples = rng.normal(5, 2, (20, 400)).astype(np.float32)
    samples[:, :n_bright] += rng.exponential(50, (20, n_bright))
    samples[:, 390:] = np.nan
    assert clipped(samples) == pytest.approx(np.array([twin(row) for row in samples]).T, rel=1e-4)


@given(st.lists(st.floats(-100, 100, width=32) | st.just(np.nan), min_size=1, max_size=30))
def test_no_sample_is_too_odd(values):
    median, mean, sigma = clipped(np.array([values], np.float32))[:, 0]
    good = np.array(values)[~np.isnan(values)]
    if good.size:
        assert good.min() - 1e-3 <= median <= good.max() + 1e-3
        assert good.min() - 1e-3 <= mean <= good.max() + 1e-3
        assert sigma >= 0
    else:
        assert np.isnan([median, mean, sigma]).all()
