"""Streamed V and η against the definitions, and against what cancels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from trap.flux_statistics import FLUX_COLUMNS, FLUX_STATISTICS
from trap.variability.metrics import (
    add_points,
    eta_p_value,
    medians,
    modulation_index,
    modulation_v,
    spectral_index,
    weighted_eta,
    whole_light_curves,
)
from trap.variability.summary import total_errors

ROW = np.array([0])


def stream(fluxes, errors):
    """Stream one light curve and return its final state."""
    statistics = np.zeros(1, FLUX_STATISTICS)
    for flux, error in zip(fluxes, errors, strict=True):
        add_points(statistics, ROW, {"f_peak": ([2 * flux], [error]), "f_int": ([flux], [error])})
    return statistics


def test_error_of_the_gain_is_added_in_quadrature_and_none_changes_nothing():
    errors, fluxes = np.array([3.0, 0.1 / 3, 1e-300]), np.array([-100.0, 7.0, 2.0])
    assert total_errors(errors, np.array([0.04, 0.0, 0.0]), fluxes).tolist() == [5.0, 0.1 / 3, 1e-300]


def two_pass(fluxes, errors):
    """V and η by their definitions, with exactly rounded sums."""
    fluxes, weights = np.asarray(fluxes, np.longdouble), np.asarray(errors, np.longdouble) ** -2
    mean, weighted_mean = fluxes.mean(), (weights * fluxes).sum() / weights.sum()
    n = max(len(fluxes) - 1, 1)
    v = np.sqrt(((fluxes - mean) ** 2).sum() / n) / mean
    return float(v), float((weights * (fluxes - weighted_mean) ** 2).sum() / n)


light_curves = st.lists(st.tuples(st.floats(0.1, 100), st.floats(0.01, 10)), min_size=2, max_size=50)


@given(light_curves)
def test_streaming_equals_two_passes(points):
    fluxes, errors = zip(*points, strict=True)
    statistics = stream(fluxes, errors)
    v, eta = two_pass(fluxes, errors)
    assert modulation_v(statistics)[0] == pytest.approx(v, rel=1e-9, abs=1e-13)
    assert weighted_eta(statistics)[0] == pytest.approx(eta, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("flux", [77.77, 12345.678])
def test_constant_source_does_not_vary_at_all(flux):
    statistics = stream([flux] * 10_000, [5e-4] * 10_000)
    assert modulation_v(statistics)[0] < 1e-12
    assert weighted_eta(statistics)[0] < 1e-12


def test_scatter_below_a_microjansky_is_measured():
    statistics = stream([1.0, 1.0 + 2e-7], [1e-7, 1e-7])
    assert modulation_v(statistics)[0] == pytest.approx(2e-7 / np.sqrt(2), rel=1e-6)


def test_single_point_does_not_vary():
    statistics = stream([3.0], [0.1])
    assert (modulation_v(statistics)[0], weighted_eta(statistics)[0]) == (0.0, 0.0)


def test_v_is_undefined_where_the_mean_is_zero():
    assert np.isnan(modulation_v(stream([1.0, -1.0], [1.0, 1.0]))[0])


def test_v_of_no_flux_at_all_is_zero():
    assert modulation_v(stream([0.0, 0.0], [1.0, 1.0]))[0] == 0.0


def test_v_is_negative_where_the_mean_is():
    # mean -2, sample scatter √2
    assert modulation_v(stream([-1.0, -3.0], [1.0, 1.0]))[0] == pytest.approx(-np.sqrt(2) / 2)


def test_peak_and_integrated_flux_are_kept_apart():
    statistics = stream([1.0, 2.0], [1.0, 1.0])
    assert statistics["mean_f_peak"][0] == 3.0
    assert statistics["mean_f_int"][0] == 1.5
    assert weighted_eta(statistics, "f_peak")[0] == pytest.approx(4 * weighted_eta(statistics)[0])


def test_maximum_of_negative_fluxes_is_the_highest_of_them():
    assert stream([-3.0, -1.0, -2.0], [1.0] * 3)["max_f_int"][0] == -1.0


def test_only_the_given_rows_change():
    statistics = np.zeros(3, FLUX_STATISTICS)
    rows = np.array([2, 0])
    add_points(statistics, rows, {"f_peak": ([1.0, 2.0], [1.0, 1.0]), "f_int": ([1.0, 2.0], [1.0, 1.0])})
    assert list(statistics["n"]) == [1, 0, 1]
    assert list(statistics["mean_f_int"]) == [2.0, 0.0, 1.0]


@given(light_curves, light_curves)
def test_whole_light_curves_equal_streamed_ones(first, second):
    curve = np.repeat([0, 1], [len(first), len(second)])
    fluxes, errors = np.array(first + second).T
    whole = whole_light_curves(curve, {"f_peak": (2 * fluxes, errors), "f_int": (fluxes, errors)})
    for number, points in enumerate((first, second)):
        streamed = stream(*zip(*points, strict=True))
        for name in (name for name in FLUX_COLUMNS if name not in {"vs_f_int", "m_f_int"}):
            assert whole[name][number] == pytest.approx(streamed[name][0], rel=1e-9, abs=1e-12)


def test_medians_of_odd_and_even_numbers_of_points():
    curve = np.array([0, 1, 0, 1, 0])
    assert list(medians(curve, np.array([5.0, 1.0, 3.0, 2.0, 9.0]))) == [5.0, 1.5]


def test_p_values_of_constant_sources_are_uniform():
    rng = np.random.default_rng(5)
    statistics, rows = np.zeros(2000, FLUX_STATISTICS), np.arange(2000)
    for _ in range(10):
        points = (1 + 0.1 * rng.normal(size=2000), np.full(2000, 0.1))
        add_points(statistics, rows, {"f_peak": points, "f_int": points})
    # Of 2,000 even numbers, 500 ± 19 lie below a quarter.
    assert abs((eta_p_value(statistics) < 0.25).sum() - 500) < 4 * 19


def test_one_point_has_no_p_value_and_no_modulation():
    statistics = stream([1.0], [0.1])
    assert np.isnan([eta_p_value(statistics)[0], *np.ravel(modulation_index(statistics))]).all()


def test_modulation_index_recovers_the_simulated_one_within_its_error():
    rng, n, true = np.random.default_rng(6), 200, 0.2
    shape = 1 + true * 2**0.5 * np.sin(np.arange(n))
    curves = (stream(shape + 0.1 * rng.normal(size=n), [0.1] * n) for _ in range(50))
    found = np.array([np.ravel(modulation_index(curve)) for curve in curves])
    pulls = (found[:, 0] - true) / found[:, 1]
    assert abs(pulls.mean()) < 0.5
    assert 0.7 < pulls.std() < 1.3


def test_source_that_scatters_less_than_its_errors_has_no_modulation():
    index, error = modulation_index(stream([1.0, 1.01, 0.99], [0.1] * 3))
    assert index[0] == 0
    # √err(F²) = (2/n)^¼ σ/Ī
    assert error[0] == pytest.approx((2 / 3) ** 0.25 * 0.1)


def test_modulation_index_is_the_same_for_a_source_of_either_sign():
    fluxes = np.array([1.0, 1.5, 0.7])
    positive, negative = (modulation_index(stream(sign * fluxes, [0.1] * 3)) for sign in (1, -1))
    assert np.ravel(negative) == pytest.approx(np.ravel(positive))
    assert np.isfinite(negative).all()


def test_negative_mean_of_noise_has_no_modulation():
    assert np.isnan(modulation_index(stream([-1.0, -0.5, 0.3], [0.5] * 3))).all()


@given(light_curves)
def test_largest_step_is_the_highest_of_all_steps_from_the_mean_before(points):
    fluxes, errors = (np.array(values) for values in zip(*points, strict=True))
    statistics, steps = stream(fluxes, errors), []
    for i in range(1, len(fluxes)):
        weights = errors[:i] ** -2
        mean = (weights * fluxes[:i]).sum() / weights.sum()
        steps.append((fluxes[i] - mean) / np.sqrt(errors[i] ** 2 + 1 / weights.sum()))
    assert abs(statistics["vs_f_int"][0]) == pytest.approx(max(map(abs, steps)), rel=1e-6, abs=1e-9)


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
