"""Checks of image quality; the numbers are TraP's own acceptance values (trap-facts §4)."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from trap.config import QualityConfig
from trap.images.beam import Beam
from trap.quality import (
    RejectReason,
    check_beam,
    check_beam_axes,
    check_pixels,
    check_rms,
    check_rms_history,
    first_rejection,
    rms_qc,
)


def header(beam=Beam(bmaj=0.05, bmin=0.04, bpa=30.0), deltax=-0.01, deltay=0.01):  # noqa: B008 (a frozen value)
    return SimpleNamespace(beam=beam, deltax=deltax, deltay=deltay)


@pytest.fixture
def noise_with_outlier():
    data = np.random.RandomState(7).normal(0, 1, (100, 100))
    data[50, 50] = 1000
    return data


@pytest.mark.parametrize(("fraction", "expected"), [(4, 0.9928946323), (8, 0.9941908244)])
def test_rms_of_noise_with_an_outlier_is_traps(noise_with_outlier, fraction, expected):
    assert rms_qc(noise_with_outlier, sigma=4, fraction=fraction) == pytest.approx(expected, rel=1e-9)


def test_rms_of_a_constant_image_is_zero():
    assert rms_qc(np.ones((800, 800), np.float32), sigma=4, fraction=4) == 0


def test_rms_clips_a_lone_bright_pixel():
    data = np.full((50, 50), 10.0)
    data[25, 25] = 20.0
    assert rms_qc(data, sigma=3, fraction=4) == 0


def test_rms_looks_at_the_middle_of_both_axes_only():
    data = np.random.default_rng(1).normal(size=(40, 80))
    middle = rms_qc(data, sigma=4, fraction=4)
    data[:10], data[30:], data[:, :20], data[:, 60:] = 1e6, 1e6, 1e6, 1e6
    assert rms_qc(data, sigma=4, fraction=4) == middle


def test_rms_uses_the_finite_pixels(noise_with_outlier):
    noise_with_outlier[40:60, 40:48] = np.nan
    assert rms_qc(noise_with_outlier, sigma=4, fraction=4) == pytest.approx(1.0, abs=0.05)


def test_rms_without_a_finite_pixel_is_nan():
    assert np.isnan(rms_qc(np.full((20, 20), np.nan), sigma=4, fraction=8))


def test_rms_of_an_image_smaller_than_the_fraction_uses_all_of_it():
    assert rms_qc(np.arange(16.0).reshape(4, 4), sigma=4, fraction=8) == pytest.approx(np.arange(16).std())


def test_flat_image_is_rejected():
    assert check_pixels(np.full((5, 5), 2.0)).reason is RejectReason.FLAT


def test_flat_image_with_gaps_is_rejected_as_flat():
    data = np.full((5, 5), 2.0)
    data[1, 1] = np.nan
    assert check_pixels(data).reason is RejectReason.FLAT


def test_image_without_a_finite_pixel_is_rejected_as_nan():
    assert check_pixels(np.full((5, 5), np.nan)).reason is RejectReason.NAN


def test_image_with_some_nan_passes():
    data = np.arange(25.0).reshape(5, 5)
    data[0] = np.nan
    assert check_pixels(data) is None


@pytest.mark.parametrize(
    ("rms", "passes"), [(0.5, False), (0.5001, True), (1.9999, True), (2.0, False), (np.nan, False), (np.inf, False)]
)
def test_rms_must_lie_strictly_between_its_limits(rms, passes):
    rejection = check_rms(rms, QualityConfig(rms_est_min=0.5, rms_est_max=2.0))
    assert (rejection is None) is passes
    if rejection:
        assert rejection.reason is RejectReason.RMS
        assert rejection.comment.startswith("RMS value not within min and max")


@pytest.mark.parametrize(
    ("semimajor", "semiminor", "problem"),
    [
        (10, 5, None),
        (10, 4.99, "Beam too elliptical"),
        (0.5, 0.5, "Beam undersampled"),
        (0.51, 0.51, None),
        (30, 29, None),
        (30.1, 29, "Beam oversampled"),
        (100, 0.1, "Beam undersampled"),
        (np.inf, 1, "Beam infinite"),
    ],
)
def test_beam_limits_are_traps(semimajor, semiminor, problem):
    rejection = check_beam_axes(semimajor, semiminor, QualityConfig())
    if problem is None:
        assert rejection is None
    else:
        assert rejection.reason is RejectReason.BEAM
        assert rejection.comment.startswith(problem)


def test_beam_that_lies_across_wide_pixels_counts_its_shorter_axis_as_the_shorter():
    # TraP's formula gives (1.65, 1.80) pixels for this beam on pixels of 0.01 × 0.02 deg.
    assert check_beam_axes(1.653595, 1.802776, QualityConfig(elliptical_x=1.0)).comment.startswith(
        "Beam too elliptical"
    )


def test_sizes_in_the_comment_have_two_decimals_or_an_exponent():
    assert "bmaj=100.00 and bmin=1.00e-03" in check_beam_axes(100, 0.001, QualityConfig()).comment


def test_image_without_a_beam_is_rejected():
    rejection = check_beam(header(beam=None), QualityConfig())
    assert (rejection.reason, rejection.comment) == (RejectReason.BEAM, "no restoring beam in the header")


def test_good_beam_passes():
    assert check_beam(header(), QualityConfig()) is None


HISTORY = np.tile([0.9, 1.1], 5)  # mean 1, standard deviation 0.1


@pytest.mark.parametrize(("rms", "passes"), [(1.0, True), (1.29, True), (1.31, False), (0.71, True), (0.69, False)])
def test_rms_far_from_the_history_is_rejected(rms, passes):
    config = QualityConfig(rms_est_history=10, rms_rej_sigma=3)
    assert (check_rms_history(rms, HISTORY, config) is None) is passes


def test_short_history_rejects_nothing():
    assert check_rms_history(1e6, HISTORY, QualityConfig(rms_est_history=11)) is None


def test_only_the_latest_of_the_history_count():
    history = np.concatenate([np.full(50, 77.0), HISTORY])
    assert check_rms_history(77.0, history, QualityConfig(rms_est_history=10)) is not None


def test_history_of_equal_values_accepts_that_value():
    history = np.full(10, 0.1)
    assert check_rms_history(0.1, history, QualityConfig(rms_est_history=10)) is None


def test_first_failing_check_is_reported():
    data, config = np.arange(25.0).reshape(5, 5), QualityConfig(rms_est_history=10)
    bad = {"rms": 1e9, "metadata": header(beam=None), "config": config, "history": HISTORY}
    assert first_rejection(np.full((5, 5), np.nan), **bad).reason is RejectReason.NAN
    assert first_rejection(np.ones((5, 5)), **bad).reason is RejectReason.FLAT
    assert first_rejection(data, **bad).comment.startswith("RMS value not within min and max")
    assert first_rejection(data, **bad | {"rms": 5.0}).reason is RejectReason.BEAM
    assert "last 10 images" in first_rejection(data, **bad | {"rms": 5.0, "metadata": header()}).comment
    assert first_rejection(data, **bad | {"rms": 1.0, "metadata": header()}) is None


def test_reasons_have_traps_codes_and_descriptions():
    assert {reason.value: reason.description for reason in RejectReason} == {
        0: "RMS invalid",
        1: "beam invalid",
        2: "bright source near",
        3: "tau_time invalid",
        4: "contains NaN",
        5: "data is flat",
    }
