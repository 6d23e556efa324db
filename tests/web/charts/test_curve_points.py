import numpy as np
import pytest

from trap.web.charts.curve_points import CurveOptions, shown_points

BLIND, FORCED, MONITORED = 0, 1, 2


def test_places_are_in_millijansky_at_the_middle_of_the_observation(points):
    shown = shown_points(points([0.010], [0.002]), CurveOptions())
    # 2026-01-01 00:05 UTC is 1767225900 s after 1970.
    assert shown.x.tolist() == [1767225900e3]
    assert (shown.y[0], shown.low[0], shown.high[0]) == pytest.approx((10.0, 8.0, 12.0))


def test_forced_fit_below_the_ratio_is_a_limit_above_the_fit_or_zero(points):
    shown = shown_points(points([0.002, -0.002, 0.004], [0.001] * 3, [FORCED] * 3), CurveOptions())
    assert shown.is_limit.tolist() == [True, True, False]
    # 3 σ above 2 mJy, and above zero.
    assert shown.y.tolist() == pytest.approx([5.0, 3.0, 4.0])


@pytest.mark.parametrize(
    ("snr", "limited", "place"),
    [(1.0, False, 2.0), (3.0, True, 5.0), (5.0, True, 7.0)],
    ids=["a fit of 2 σ above 1", "3 σ above the fit", "5 σ above the fit"],
)
def test_ratio_sets_limits(points, snr, limited, place):
    shown = shown_points(points([0.002], [0.001], [FORCED]), CurveOptions(snr=snr))
    assert (shown.is_limit.tolist(), shown.y.tolist()) == ([limited], pytest.approx([place]))


def test_detection_is_never_a_limit(points):
    assert not shown_points(points([0.001], [0.001]), CurveOptions(snr=5.0)).is_limit.any()


@pytest.mark.parametrize(
    ("options", "rows"),
    [({}, [0, 1, 2]), ({"limits": False}, [0, 1]), ({"forced": False}, [0, 2]), ({"bands": (2,)}, [2])],
    ids=["all", "no limits", "no forced fits", "a band with its limit"],
)
def test_kinds_and_bands_are_left_out(points, options, rows):
    curve = points([0.01, 0.01, 0.001], [0.001] * 3, [BLIND, FORCED, FORCED], band=[1, 1, 2])
    assert shown_points(curve, CurveOptions(**options)).rows.tolist() == rows


def test_raw_flux_densities_are_multiplied_by_the_gain(points):
    curve = points([0.010, 0.010], [0.001, 0.001], f_int_raw=[0.012, np.nan])
    shown = shown_points(curve, CurveOptions(calibrated="raw"))
    # The first image was divided by a gain of 1.2, the second was not corrected.
    assert shown.flux.tolist() == pytest.approx([12.0, 10.0])
    assert shown.error.tolist() == pytest.approx([1.2, 1.0])


def test_days_count_from_the_first_detection(points):
    shown = shown_points(points([0.0, 0.01, 0.01], [0.001] * 3, [FORCED, BLIND, BLIND]), CurveOptions(time="days"))
    assert shown.x.tolist() == [-1.0, 0.0, 1.0]


def test_points_without_a_place_are_counted(points):
    curve = points([np.nan, -0.01, 0.01, 0.002], [0.001, 0.001, 0.001, 0.005])
    shown = shown_points(curve, CurveOptions(axis="log"))
    assert (shown.n_without_flux, shown.n_without_place, shown.rows.tolist()) == (1, 1, [2, 3])
    # An error bar that reaches below zero ends inside the logarithmic axis.
    assert (shown.low > 0).all()
