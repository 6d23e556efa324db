"""The history of calibrations: series that vary or not, usual values, and the mean shift of each region."""

from __future__ import annotations

import numpy as np
import pytest

from trap.calibration.history import CalibrationHistory
from trap.calibration.records import Astrometry, FluxScale, ImageCalibration


def calibration(gain=1.0, shift=(0.0, 0.0), compactness=1.0):
    return ImageCalibration(
        astrometry=Astrometry(shift_ew=shift[0], shift_ns=shift[1], shift_ew_err=0.1, shift_ns_err=0.1),
        flux_scale=FluxScale(gain=gain, gain_err=0.01),
        compactness=compactness,
    )


def history_of(*calibrations, region=0):
    history = CalibrationHistory()
    for one in calibrations:
        history.remember("band", one, region)
    return history


def test_images_that_differ_by_their_errors_do_not_vary():
    n_varying = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        # The first image has an error of its own, which all others show.
        first = rng.normal(0, [0.01, 0.1, 0.1])
        errors = rng.normal(0, [0.01, 0.1, 0.1], (30, 3)) - first
        history = history_of(calibration(), *(calibration(1 + g, (e, n)) for g, e, n in errors))
        n_varying += history.has_varying_gains("band") + history.has_varying_shifts("band")
    assert n_varying <= 2


def test_images_with_gains_and_shifts_of_their_own_vary():
    rng = np.random.default_rng(1)
    history = history_of(*(calibration(1 + 0.1 * g, (2 * e, 2 * n)) for g, e, n in rng.normal(size=(8, 3))))
    assert history.has_varying_gains("band")
    assert history.has_varying_shifts("band")
    assert not history.has_varying_gains("another band")


def test_few_images_prove_nothing():
    assert not history_of(*(calibration(gain) for gain in (1.0, 1.5, 0.7, 1.2))).has_varying_gains("band")


def test_usual_values_are_those_of_the_latest_images():
    history = history_of(*(calibration(compactness=float(i)) for i in range(1, 151)), ImageCalibration())
    assert history.recent("band", "compactness").tolist() == list(range(52, 151))
    assert history.recent("band", "flux_scale.gain").size == 99
    assert not history.recent("none", "compactness").size


def test_each_region_has_a_mean_shift():
    history = history_of(calibration(shift=(3.0, -1.0)), calibration(shift=(1.0, 1.0)))
    # Nothing is known where a region begins; its first image counts as right, later ones as measured.
    history.remember("band", ImageCalibration(), 7)
    history.remember("band", ImageCalibration(), 7)
    history.remember("band", calibration(shift=(4.0, 2.0)), 7)
    assert history.mean_shift(0) == (2.0, 0.0)
    assert history.mean_shift(7) == pytest.approx((2.0, 1.0))
    assert history.mean_shift(8) == (0.0, 0.0)
