"""Power laws through the flux densities of several bands."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import curve_fit

from trap.variability.spectral_index import spectral_index

BANDS = np.array([0.7e9, 1.0e9, 1.6e9])


@pytest.mark.parametrize("alpha", [-2.0, -0.7, 0.0, 1.5])
def test_power_law_gives_its_exponent(alpha):
    flux = 0.01 * (BANDS / 1e9)[:, np.newaxis] ** alpha
    assert spectral_index(BANDS, flux, 0.1 * flux)[0] == pytest.approx([alpha])


def test_index_and_error_equal_a_weighted_fit():
    flux, error = np.array([1.2, 0.8, 0.7]), np.array([0.1, 0.05, 0.2])
    line, cov = curve_fit(
        lambda x, c, a: c + a * x, np.log(BANDS), np.log(flux), sigma=error / flux, absolute_sigma=True
    )
    index, index_err = spectral_index(BANDS, flux[:, np.newaxis], error[:, np.newaxis])
    assert (index[0], index_err[0]) == pytest.approx((line[1], cov[1, 1] ** 0.5), rel=1e-4)


def test_fewer_than_two_usable_bands_have_no_index():
    flux = np.array([[1.0, np.nan, 1.0], [-1.0, np.nan, 2.0], [np.nan, 3.0, np.nan]])
    index, error = spectral_index(BANDS, flux, np.ones((3, 3)))
    assert np.isnan(index[:2]).all()
    assert np.isnan(error[:2]).all()
    assert np.isfinite(index[2])


def test_no_sources_and_no_bands_give_nothing():
    assert len(spectral_index(BANDS, np.empty((3, 0)), np.empty((3, 0)))[0]) == 0
    assert np.isnan(spectral_index(np.empty(0), np.empty((0, 2)), np.empty((0, 2)))[0]).all()
