from __future__ import annotations

import math

import numpy as np
import pytest

from trap.vetting.consistency import BandFluxes, absence, local_gains, shape_significance


def test_area_is_the_ratio_of_flux_densities_with_an_error_from_the_noise():
    # At S/N 10 the relative error is 2/10 with a floor of 0.1, together √0.05.
    areas, sigma = shape_significance(np.array([10.0, 10.0, -10.0]), np.array([20.0, 5.0, -10.0]), np.ones(3))
    assert areas.tolist() == [2, 0.5, 1]
    assert sigma == pytest.approx(np.array([1, -1, 0]) * math.log(2) / math.sqrt(0.05))


def test_area_of_flux_densities_with_two_signs_is_unknown():
    areas, sigma = shape_significance(np.array([10.0, 0.0]), np.array([-1.0, 1.0]), np.ones(2))
    assert np.isnan(areas[0])
    assert np.isnan(sigma[0])


def test_errors_of_fitted_areas_are_the_stated_ones():
    """The scatter of the areas of fits to a beam in correlated noise is 2/ρ."""
    from scipy.ndimage import gaussian_filter  # noqa: PLC0415 (for this test only)
    from scipy.optimize import least_squares  # noqa: PLC0415

    rng, width, height = np.random.default_rng(3), 4.0, 30.0
    deviation = width / math.sqrt(8 * math.log(2))
    y, x = np.mgrid[-8:9, -8:9]
    areas = []
    for _ in range(60):
        noise = gaussian_filter(rng.standard_normal((41, 41)), deviation)[12:29, 12:29]
        pixels = height * np.exp(-(x**2 + y**2) / 2 / deviation**2) + noise * 2 * deviation * math.sqrt(math.pi)

        def residuals(p, pixels=pixels):
            peak, u, v, wide, high = p
            return (peak * np.exp(-((x - u) ** 2) / 2 / wide**2 - (y - v) ** 2 / 2 / high**2) - pixels).ravel()

        *_, wide, high = least_squares(residuals, [height, 0, 0, deviation, deviation]).x
        areas.append(wide * high / deviation**2)
    assert np.std(areas) == pytest.approx(2 / height, rel=0.2)


def test_absence_compares_with_the_faintest_plausible_spectrum():
    # At twice the frequency, an index of -4 leaves 1/16: 100 mJy ± 8 becomes 6.25 ± 0.5, and a tenth of it is 0.625. At
    # half of the frequency, 2 leaves 1/4.
    peak, error = np.array([100.0]), np.array([8.0])
    high = BandFluxes(2e9, np.array([1.25]), np.array([0.5]))
    low = BandFluxes(0.5e9, np.array([25.0]), np.array([2.0]))
    assert absence(peak, error, 1e9, [high]) == pytest.approx([5 / math.hypot(0.5, 0.5, 0.625)])
    assert absence(peak, error, 1e9, [low]) == pytest.approx([0])
    assert absence(peak, error, 1e9, [low, high]) == pytest.approx([5 / math.hypot(0.5, 0.5, 0.625)])
    unknown = BandFluxes(2e9, np.array([np.nan]), np.array([np.nan]))
    assert np.isnan(absence(peak, error, 1e9, [unknown])).all()
    assert np.isnan(absence(peak, error, 1e9, [])).all()


def steady_field(seed=5):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 100, (2, 80))
    return x, y, 0.02 * rng.standard_normal(80), np.full(80, 0.02**2)


def test_part_of_the_image_that_is_brighter_has_a_gain():
    x, y, log_ratios, variances = steady_field()
    inside = np.hypot(x - 30, y - 30) < 25
    gain, sigma = local_gains(
        np.array([30.0, 80.0]), np.array([30.0, 80.0]), (x, y), log_ratios + np.log(1.3) * inside, variances
    )
    # Eight values of error 0.02 have a mean of error 0.007.
    assert gain[0] == pytest.approx(0.3, abs=0.04)
    assert sigma[0] > 6
    assert abs(gain[1]) < 0.03
    assert abs(sigma[1]) < 3


def test_single_source_that_brightens_is_no_gain():
    x, y, log_ratios, variances = steady_field()
    nearest = np.argmin(np.hypot(x - 50, y - 50))
    log_ratios[nearest] += 1.0
    _, sigma = local_gains(np.array([50.0]), np.array([50.0]), (x, y), log_ratios, variances)
    assert abs(sigma[0]) < 3


def test_gain_is_unknown_without_enough_steady_sources():
    x, y, log_ratios, variances = (values[:23] for values in steady_field())
    gain, sigma = local_gains(np.array([50.0]), np.array([50.0]), (x, y), log_ratios, variances)
    assert np.isnan([gain[0], sigma[0]]).all()
