"""Errors against TraP's check values (trap-facts §5.7, 5.8) where the definitions agree, and against theory."""

from __future__ import annotations

import numpy as np
import pytest

from trap.extraction.uncertainties import beam_fit_errors, forced_fit_errors, gaussian_fit_errors, moments_errors

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


@pytest.mark.parametrize(("signal_to_noise", "peak", "position"), [(3.0001, 1.0, 0.5), (3e6, 2.0, 2.0)])
def test_beam_fit_lies_between_its_limits(signal_to_noise, peak, position):
    # The peak pixel alone has the noise of one pixel; all pixels together twice its variance. A position from
    # the slope at the peak alone has half the variance (beam σ / S/N)², one from all pixels twice.
    errors = beam_fit_errors(RMS * signal_to_noise, rms=RMS, beam_axes=BEAM_AXES, threshold=RMS * 3)
    sigma = np.array(BEAM_AXES) / np.sqrt(2 * np.log(2)) / signal_to_noise
    assert errors.peak[0] ** 2 == pytest.approx(peak, rel=2e-3)
    assert np.array([errors.major[0], errors.minor[0]]) ** 2 == pytest.approx(position * sigma**2, rel=2e-3)


def test_beam_fit_has_the_same_relative_error_in_peak_and_integrated_flux():
    errors = beam_fit_errors(PEAK, rms=RMS, beam_axes=BEAM_AXES, threshold=RMS * 3)
    assert errors.integrated == errors.peak


def test_variances_of_a_beam_fit_are_those_of_its_noise_by_direct_summation():
    # Sandwich covariance on the pixels themselves, for S/N 10 above a threshold of 3.
    s = 4.0
    v, u = np.mgrid[-9:10, -9:10]
    inside = (u**2 + v**2) / (2 * s**2) < np.log(10 / 3)
    u, v = u[inside], v[inside]
    g = np.exp(-(u**2 + v**2) / (2 * s**2))
    noise = np.exp(-(np.subtract.outer(u, u) ** 2 + np.subtract.outer(v, v) ** 2) / (4 * s**2))
    jacobian = np.column_stack([g, 10 * g * u / s**2])
    inverse = np.linalg.inv(jacobian.T @ jacobian)
    expected = np.sqrt(np.diag(inverse @ jacobian.T @ noise @ jacobian @ inverse))
    axis = s * np.sqrt(2 * np.log(2))
    errors = beam_fit_errors(PEAK, rms=RMS, beam_axes=(axis, axis), threshold=RMS * 3)
    assert (errors.peak[0], errors.major[0]) == pytest.approx(expected, rel=0.02)


def test_forced_fit_of_nothing_has_the_position_error_of_one_sigma():
    errors = forced_fit_errors(np.array([0.0, -0.5, 10.0]), rms=RMS, variance=np.full(3, 2.0), beam_axes=BEAM_AXES)
    limit = np.array(BEAM_AXES) / np.sqrt(np.log(2))
    assert errors.peak == pytest.approx(np.sqrt(2))
    assert errors.major == pytest.approx([limit[0], limit[0], limit[0] / 10])
    assert errors.minor == pytest.approx([limit[1], limit[1], limit[1] / 10])
