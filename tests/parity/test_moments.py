from __future__ import annotations

import numpy as np
import pytest

from trap.kernels.moments import component_moments


def test_moments_are_weighted_means():
    rng = np.random.default_rng(5)
    x, y = rng.integers(0, 50, 300), rng.integers(0, 50, 300)
    value, rms = rng.uniform(3, 9, 300), rng.uniform(0.5, 2, 300)
    number = np.concatenate([np.arange(20), rng.integers(0, 20, 280)])
    found = component_moments((x, y, value, rms), number, 20)
    for k in range(20):
        own = number == k
        cov = np.cov(x[own], y[own], aweights=value[own], ddof=0)
        highest = np.argmax(np.where(own, value, -np.inf))
        expected = [
            np.average(x[own], weights=value[own]),
            np.average(y[own], weights=value[own]),
            *(cov if cov.ndim == 2 else np.zeros((2, 2)))[[0, 0, 1], [0, 1, 1]],
            value[highest],
            rms[highest],
            (value / rms)[own].max(),
            own.sum(),
        ]
        assert found[k] == pytest.approx(expected)
