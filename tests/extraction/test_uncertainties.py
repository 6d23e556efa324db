"""Errors against TraP's check values (trap-facts §5.7, 5.8) where the definitions agree, and against theory."""

from __future__ import annotations

import numpy as np
import pytest

from trap.extraction.gaussian import Gaussians
from trap.extraction.uncertainties import (
    Errors,
    correlated_errors,
    forced_fit_errors,
    gaussian_fit_errors,
    moments_errors,
)

# p = 10, a = 3, b = 2.5, F = 12, σ = 1; the beam's full widths are 5 and 4.
PEAK, FLUX, RMS = np.array([10.0]), np.array([12.0]), np.array([1.0])
AXES, BEAM_AXES, ANGLE = (np.array([3.0]), np.array([2.5])), (2.5, 2.0), 0.3


def along_x_and_y(errors):
    """TraP measures the angle from y, and takes position errors √2 larger than Condon's eq. 21."""
    major, minor = np.sqrt(2) * errors.major, np.sqrt(2) * errors.minor
    return (
        np.hypot(major * np.sin(ANGLE), minor * np.cos(ANGLE))[0],
        np.hypot(major * np.cos(ANGLE), minor * np.sin(ANGLE))[0],
    )


def test_errors_of_a_free_fit_are_traps():
    errors = gaussian_fit_errors(PEAK, FLUX, rms=RMS, axes=AXES, beam_axes=BEAM_AXES)
    # TraP's 1.0622608 is for its peak of 9.9, corrected for a noise bias; the relative error is the same.
    assert errors.peak[0] == pytest.approx(1.0622608 * 10 / 9.9, rel=1e-6)
    assert errors.integrated[0] == pytest.approx(1.9671242, rel=1e-6)
    assert along_x_and_y(errors) == pytest.approx((0.3324556, 0.3760546), rel=1e-6)


def test_errors_of_moments_are_traps():
    errors = moments_errors(
        PEAK, FLUX, rms=RMS, axes=AXES, beam_axes=BEAM_AXES, threshold=np.array([3.0]), peak_variance=0.0003
    )
    assert errors.peak[0] == pytest.approx(1.0148892, rel=1e-6)
    assert errors.integrated[0] == pytest.approx(1.6719835, rel=1e-6)
    assert along_x_and_y(errors) == pytest.approx((0.2529798, 0.2939043), rel=1e-6)


def test_errors_of_moments_at_the_threshold_are_finite():
    errors = moments_errors(
        RMS * 3, RMS * 3, rms=RMS, axes=AXES, beam_axes=BEAM_AXES, threshold=RMS * 3, peak_variance=0.0003
    )
    assert np.isfinite([errors.peak, errors.integrated, errors.major, errors.minor]).all()


def test_errors_of_a_beam_shaped_fit_equal_the_errors_of_its_peak():
    errors = gaussian_fit_errors(PEAK, PEAK, rms=RMS, axes=BEAM_AXES, beam_axes=BEAM_AXES, is_beam_shaped=True)
    # Condon (1997) with source and beam alike: the noise of a pixel.
    assert (errors.peak[0], errors.integrated[0]) == pytest.approx((1, 1))


def test_position_errors_are_turned_to_x_and_y():
    form = np.array([[0.5, 0.0, 0.1]])  # the major axis along y
    errors = forced_fit_errors(PEAK, rms=RMS, variance=np.full(1, 2.0), beam_axes=(2.0, 1.0))
    turned = errors.turned(form)
    assert turned.position[0] == pytest.approx([errors.minor[0] ** 2, 0, errors.major[0] ** 2], abs=1e-12)


def test_flux_error_from_a_covariance_equals_the_scatter_of_the_flux():
    form = np.array([[0.3, 0.1, 0.4]])
    sources = Gaussians(x=np.zeros(1), y=np.zeros(1), peak=np.array([7.0]), form=form)
    root = np.random.default_rng(1).normal(0, 0.01, (6, 6))
    covariance = root @ root.T
    errors = correlated_errors(covariance[np.newaxis], sources, np.array([11.0]), rms=np.array([0.1]))
    drawn = np.random.default_rng(2).multivariate_normal(np.zeros(6), covariance * 0.1**2, 100_000)
    a, b, c = (form[0] + drawn[:, 3:]).T
    flux = 11.0 * (1 + drawn[:, 0] / 7) * np.sqrt((0.3 * 0.4 - 0.1**2) / (a * c - b**2))
    assert errors.integrated[0] == pytest.approx(flux.std(), rel=0.02)
    assert errors.peak[0] == pytest.approx(drawn[:, 0].std(), rel=0.02)
    assert errors.position[0] == pytest.approx(np.cov(drawn[:, 1:3].T)[[0, 0, 1], [0, 1, 1]], rel=0.1, abs=1e-9)


def test_forced_fit_without_a_source_has_the_position_error_of_one_sigma():
    errors = forced_fit_errors(np.array([0.0, -0.5, 10.0]), rms=RMS, variance=np.full(3, 2.0), beam_axes=BEAM_AXES)
    limit = np.array(BEAM_AXES) / np.sqrt(np.log(2))
    assert errors.peak == pytest.approx(np.sqrt(2))
    assert errors.major == pytest.approx([limit[0], limit[0], limit[0] / 10])
    assert errors.minor == pytest.approx([limit[1], limit[1], limit[1] / 10])


def test_errors_are_valid_if_all_are_positive_and_the_position_has_an_ellipse():
    good = [1.0, 2.0, (1.0, 0.5, 1.0)]
    bad = [[np.nan, 2.0, good[2]], [1.0, 0.0, good[2]], [1.0, 2.0, (-1.0, 0.0, 1.0)], [1.0, 2.0, (1.0, 2.0, 1.0)]]
    peak, integrated, position = (np.array(values) for values in zip(good, *bad, [1.0, np.inf, good[2]], strict=True))
    errors = Errors(peak=peak, integrated=integrated, position=position)
    assert errors.are_valid.tolist() == [True] + [False] * 5
