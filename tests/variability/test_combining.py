"""Statistics of light curves in several parts."""

import numpy as np
import pytest
from scipy import stats

from trap.flux_statistics import FLUX_STATISTICS
from trap.variability.combining import combine_freedom, combine_statistics, metrics_so_far, rescale_statistics
from trap.variability.metrics import add_points, light_curve_metrics, modulation_v, weighted_eta
from trap.variability.shared_errors import INDEPENDENT


def _statistics(curves) -> np.ndarray:
    """Stream light curves of (flux, error) point by point."""
    statistics = np.zeros(len(curves), FLUX_STATISTICS)
    for row, points in enumerate(curves):
        for flux, error in points:
            values = ([flux], [error])
            add_points(statistics, np.array([row]), {"f_peak": values, "f_int": values})
    return statistics


@pytest.mark.parametrize("seed", range(5))
def test_parts_combine_to_the_statistics_of_the_whole(seed):
    rng = np.random.default_rng(seed)
    curves = [
        [
            list(zip(rng.normal(flux, 0.1 * flux, n), rng.uniform(0.01, 0.1, n), strict=True))
            for n in rng.integers(1, 30, 3)
        ]
        for flux in (0.1, 1.0, 1000.0)
    ]
    parts = _statistics([part for parts in curves for part in parts])
    whole = _statistics([[point for part in parts for point in part] for parts in curves])
    combined = combine_statistics(parts, np.repeat(np.arange(3), 3), np.zeros(9))
    for name in FLUX_STATISTICS.names:
        if name not in ("vs_f_int", "m_f_int"):
            assert combined[name] == pytest.approx(whole[name], rel=1e-9), name
    steps = np.abs(parts["vs_f_int"]).reshape(3, 3)
    assert np.abs(combined["vs_f_int"]).tolist() == steps.max(axis=1).tolist()


def test_the_error_of_the_scale_of_a_part_weakens_the_difference_between_parts():
    parts = _statistics([[(1.00, 0.01)] * 10, [(1.05, 0.01)] * 10])
    known = combine_statistics(parts, np.zeros(2, int), np.zeros(2))
    unknown = combine_statistics(parts, np.zeros(2, int), np.array([0.0, 0.05]))
    assert known["wm2_f_int"][0] == pytest.approx(20 * 0.025**2 / 0.01**2)
    # The variance of the difference is 2 · 0.01² / 10 + (0.05 · 1.05)².
    assert unknown["wm2_f_int"][0] == pytest.approx(0.05**2 / (2e-5 + 0.0525**2))
    assert unknown["wmean_f_int"] == known["wmean_f_int"]


def test_rescaled_statistics_are_those_of_the_rescaled_points():
    points = [(1.0, 0.1), (1.3, 0.2), (0.4, 0.1)]
    expected = _statistics([[(flux / 1.1, error / 1.1) for flux, error in points]])
    rescaled = rescale_statistics(_statistics([points]), np.array([1.1]))
    for name in FLUX_STATISTICS.names:
        assert rescaled[name] == pytest.approx(expected[name]), name
    metrics, before = light_curve_metrics(rescaled), light_curve_metrics(_statistics([points]))
    for name in ("v_int", "eta_int", "eta_p_value", "modulation"):
        assert metrics[name] == pytest.approx(before[name])


@pytest.mark.parametrize("seed", range(3))
def test_the_probability_of_constant_sources_in_parts_is_uniform(seed):
    rng = np.random.default_rng(seed)
    n_curves, lengths = 3000, (1, 4, 7)
    errors = [rng.uniform(0.05, 0.2, (n_curves, n)) for n in lengths]
    parts = np.zeros(3 * n_curves, FLUX_STATISTICS)
    for number, error in enumerate(errors):
        values = rng.normal(1.0, error)
        rows = number * n_curves + np.arange(n_curves)
        for point in range(error.shape[1]):
            flux = (values[:, point], error[:, point])
            add_points(parts, rows, {"f_peak": flux, "f_int": flux})
    curve = np.tile(np.arange(n_curves), 3)
    freedom = combine_freedom(*INDEPENDENT.freedom(parts["n"]), curve)
    assert freedom[0] == pytest.approx(np.full(n_curves, sum(lengths) - 1))
    assert freedom[1] == pytest.approx(np.ones(n_curves))
    p_value = light_curve_metrics(combine_statistics(parts, curve, np.zeros(3 * n_curves)), freedom)["eta_p_value"]
    assert stats.kstest(p_value, "uniform").pvalue > 1e-3


def test_one_part_keeps_its_freedom_and_one_point_has_none():
    freedom, scale = combine_freedom(np.array([3.4, np.nan]), np.array([1.7, np.nan]), np.array([0, 1]))
    assert freedom == pytest.approx([3.4, np.nan], nan_ok=True)
    assert scale == pytest.approx([1.7, np.nan], nan_ok=True)


@pytest.mark.parametrize("seed", range(3))
def test_the_metrics_up_to_each_point_are_the_streamed_ones(seed):
    rng = np.random.default_rng(seed)
    curve = rng.integers(0, 8, 400)
    level = 10.0 ** rng.uniform(-4, 4, 8)  # a bright light curve does not spoil the sums of a faint one
    errors = 0.05 * level[curve]
    values = rng.normal(level[curve], 2 * errors)
    values[rng.random(400) < 0.1] = np.nan
    n, v, eta = metrics_so_far(curve, values, errors)
    statistics = np.zeros(8, FLUX_STATISTICS)
    for i in range(400):
        row = curve[i : i + 1]
        if np.isfinite(values[i]):
            fluxes = (values[i : i + 1], errors[i : i + 1])
            add_points(statistics, row, {"f_peak": fluxes, "f_int": fluxes})
        so_far = statistics[row]
        assert n[i] == so_far["n"][0]
        if n[i]:
            assert v[i] == pytest.approx(modulation_v(so_far)[0], rel=1e-7, abs=1e-12)
            assert eta[i] == pytest.approx(weighted_eta(so_far)[0], rel=1e-7, abs=1e-9)
        else:
            assert np.isnan(v[i])
            assert np.isnan(eta[i])


def test_no_points_have_no_metrics():
    assert [len(one) for one in metrics_so_far(np.empty(0, int), np.empty(0), np.empty(0))] == [0, 0, 0]
