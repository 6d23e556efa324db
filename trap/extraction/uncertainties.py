"""1σ errors of peaks, flux densities and positions.

Noise in a radio image is correlated over the beam, so errors do not shrink with the number of
pixels. The errors of a fit follow from the noise and its autocorrelation, both measured in the image
itself. Condon's (1997) formulas, which interpolate, are available for comparison.

Unlike in TraP, flux densities are not corrected for a noise bias: the correction, p' = p - σ²/p,
diverges at low S/N.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trap.extraction.celestial import ellipse_axes
from trap.tables import ColumnTable, column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.config import SourceExtractionConfig
    from trap.extraction.gaussian import Gaussians
    from trap.images.beam import Beam
    from trap.typing import Array


__all__ = [
    "AxisErrors",
    "Errors",
    "condon_rho_squared",
    "correlated_errors",
    "forced_fit_errors",
    "gaussian_fit_errors",
    "logarithmic_mean",
    "moments_errors",
    "systematic_errors",
]

BeamAxes = tuple[float, float] | tuple["Array", "Array"]
"""Semi-axes of the beam: the same for all sources, or (n,) each."""
ARCSEC = 1 / 3600
MAJOR_AXIS_POWERS, MINOR_AXIS_POWERS, PEAK_POWERS = (2.5, 0.5), (0.5, 2.5), (1.5, 1.5)
"""Exponents (α, β) of ρ² for the errors along the two axes, and of the peak: Condon (1997), eq. 41."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AxisErrors(ColumnTable):
    """1σ errors of Gaussians, with the errors of the position along the axes of the ellipses."""

    peak: Array = column("f8", "Jy/beam", "1σ error of the peak.")
    integrated: Array = column("f8", "Jy", "1σ error of the integrated flux density.")
    major: Array = column("f8", "pix", "1σ error of the position along the major axis.")
    minor: Array = column("f8", "pix", "1σ error of the position along the minor axis.")

    def turned(self, form: Array) -> Errors:
        """Turn the position errors from the axes of the ellipses to x and y.

        Parameters
        ----------
        form
            (n, 3) pix⁻² — coefficients of the exponents.
        """
        *_, angle = ellipse_axes(form)
        major, minor, cos, sin = self.major**2, self.minor**2, np.cos(angle), np.sin(angle)
        xx, xy, yy = major * cos**2 + minor * sin**2, (major - minor) * sin * cos, major * sin**2 + minor * cos**2
        return Errors(peak=self.peak, integrated=self.integrated, position=np.column_stack([xx, xy, yy]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Errors(ColumnTable):
    """1σ errors of Gaussians, with the covariance of the position along x and y."""

    peak: Array = column("f8", "Jy/beam", "1σ error of the peak.")
    integrated: Array = column("f8", "Jy", "1σ error of the integrated flux density.")
    position: Array = column("f8", "pix2", "Variance of x, covariance of x and y, variance of y.", shape=(3,))

    @property
    def are_valid(self) -> NDArray[np.bool_]:
        """(n,) — rows with positive errors. A fit that is nearly degenerate may lack one, by rounding."""
        xx, xy, yy = self.position.T
        are_finite = np.isfinite(self.peak + self.integrated + xx + yy)
        are_positive = (self.peak > 0) & (self.integrated > 0) & (xx > 0) & (yy > 0) & (xx * yy >= xy**2)
        valid: NDArray[np.bool_] = are_finite & are_positive
        return valid


def correlated_errors(covariance: Array, sources: Gaussians, flux: Array, *, rms: Array) -> Errors:
    """Compute errors from the covariance of the fitted parameters.

    Parameters
    ----------
    covariance
        (n, 6, 6) — covariance of peak, x, y, a, b, c for noise of 1 Jy/beam; zero for fixed
        parameters.
    sources
        (n,) — fitted Gaussians.
    flux
        (n,) Jy — integrated flux densities, F ∝ peak / √(a c - b²).
    rms
        (n,) Jy/beam — local noise.
    """
    a, b, c = sources.form.T
    determinant = a * c - b**2
    zero = np.zeros_like(a)
    # d(ln F) by peak, x, y, a, b, c.
    gradient = np.column_stack(
        [1 / sources.peak, zero, zero, -c / (2 * determinant), b / determinant, -a / (2 * determinant)]
    )
    relative_variance = np.einsum("ni,nij,nj->n", gradient, covariance, gradient)
    position_cov = np.column_stack([covariance[:, 1, 1], covariance[:, 1, 2], covariance[:, 2, 2]])
    with np.errstate(invalid="ignore"):
        return Errors(
            peak=rms * np.sqrt(covariance[:, 0, 0]),
            integrated=rms * np.abs(flux) * np.sqrt(relative_variance),
            position=rms[:, np.newaxis] ** 2 * position_cov,
        )


def gaussian_fit_errors(
    peak: Array,
    flux: Array,
    *,
    rms: Array,
    axes: tuple[Array, Array],
    beam_axes: BeamAxes,
    is_beam_shaped: NDArray[np.bool_] | bool = False,
) -> AxisErrors:
    """Compute the errors of a fit with all parameters free: Condon (1997), eq. 21, with the ρ of eq. 41.

    Position errors are Condon's. TraP's are √2 larger (after NVSS, eq. 25).

    Parameters
    ----------
    peak, flux
        (n,) Jy/beam and Jy — peaks and integrated flux densities.
    rms
        (n,) Jy/beam — local noise.
    axes
        (n,) pix each — fitted semi-axes at half maximum, major and minor.
    beam_axes
        pix — semi-axes of the beam at half maximum.
    is_beam_shaped
        (n,) — whether the shape was fixed, so that the integrated flux density has the relative error of the peak.
    """
    a, b = axes

    def rho(powers: tuple[float, float]) -> Array:
        squared: Array = condon_rho_squared(axes, beam_axes, powers) * (peak / rms) ** 2
        return np.sqrt(squared)

    rho_major, rho_minor, rho_peak = rho(MAJOR_AXIS_POWERS), rho(MINOR_AXIS_POWERS), rho(PEAK_POWERS)
    axes_variance = np.where(is_beam_shaped, 0.0, 2 / rho_major**2 + 2 / rho_minor**2)
    return AxisErrors(
        peak=np.sqrt(2) * np.abs(peak) / rho_peak,
        integrated=np.abs(flux) * _relative_flux_error(2 / rho_peak**2, axes_variance, axes, beam_axes),
        major=a / (np.sqrt(np.log(2)) * rho_major),
        minor=b / (np.sqrt(np.log(2)) * rho_minor),
    )


def moments_errors(
    peak: Array,
    flux: Array,
    *,
    rms: Array,
    axes: tuple[Array, Array],
    beam_axes: BeamAxes,
    threshold: Array,
    peak_variance: float,
) -> AxisErrors:
    """Compute the errors of a measurement by moments, as in TraP (TF §5.8; Spreeuw 2010).

    Position errors lack TraP's factor √2, as in :func:`gaussian_fit_errors`.

    Parameters
    ----------
    peak, flux, rms, axes, beam_axes
        As for :func:`gaussian_fit_errors`.
    threshold
        (n,) Jy/beam — analysis threshold, positive.
    peak_variance
        V_max of :func:`trap.extraction.moments.peak_correction`.
    """
    (a, b), (beam_a, beam_b) = axes, beam_axes
    height = logarithmic_mean(peak, threshold)
    rho_squared = 4 * a * b / (np.log(2) * beam_a * beam_b) * (height / rms) ** 2
    peak_err = np.sqrt(rms**2 + peak_variance * peak**2)
    return AxisErrors(
        peak=peak_err,
        integrated=np.abs(flux) * _relative_flux_error((peak_err / peak) ** 2, 4 / rho_squared, axes, beam_axes),
        major=a / np.sqrt(np.log(2) * rho_squared),
        minor=b / np.sqrt(np.log(2) * rho_squared),
    )


def condon_rho_squared(axes: tuple[Array, Array], beam_axes: BeamAxes, powers: tuple[float, float]) -> Array:
    """Compute ρ² of Condon (1997), eq. 41, for a fit of S/N 1; ρ is proportional to the S/N.

    Parameters
    ----------
    axes
        (n,) each — fitted semi-axes at half maximum, major and minor.
    beam_axes
        Semi-axes of the beam at half maximum, in the same unit.
    powers
        Exponents of the major and the minor term: ``MAJOR_AXIS_POWERS``, ``MINOR_AXIS_POWERS`` or
        ``PEAK_POWERS``.
    """
    (a, b), (beam_a, beam_b) = axes, beam_axes
    major_power, minor_power = powers
    smoothing = (1 + (beam_a / a) ** 2) ** major_power * (1 + (beam_b / b) ** 2) ** minor_power
    # Half widths of the source over full widths of the beam give the factor 1/4 of Condon's ρ².
    rho_squared: Array = a * b / (4 * beam_a * beam_b) * smoothing
    return rho_squared


def logarithmic_mean(peak: Array, threshold: Array | float) -> Array:
    """Average the brightness between threshold and peak evenly in its logarithm (Spreeuw 2010).

    Parameters
    ----------
    peak
        (n,) — peaks.
    threshold
        (n,), or one for all — thresholds, in the same unit.

    Returns
    -------
    (n,)
        (peak - threshold) / (ln peak - ln threshold), or its limit, the peak, if both are nearly equal.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = peak / threshold
        return np.where(np.abs(ratio - 1) > 1e-6, (peak - threshold) / np.log(ratio), peak)


def _relative_flux_error(
    peak_variance: Array, axes_variance: Array, axes: tuple[Array, Array], beam_axes: BeamAxes
) -> Array:
    """Compute σ_F/F from the relative variances of the peak and of the two axes: Condon (1997), eq. 35."""
    (a, b), (beam_a, beam_b) = axes, beam_axes
    return np.sqrt(peak_variance + beam_a * beam_b / (a * b) * axes_variance)


def forced_fit_errors(peak: Array, *, rms: Array, variance: Array, beam_axes: BeamAxes) -> AxisErrors:
    """Compute the errors of a beam-shaped fit at a given position.

    The position is fixed. As in TraP, it gets the position error of a free fit to a source of the
    same S/N (:func:`gaussian_fit_errors` × √2), or of S/N 1 for a fainter source.

    Parameters
    ----------
    peak
        (n,) Jy/beam — fitted peaks.
    rms
        (n,) Jy/beam — local noise.
    variance
        (n,) — variance of the peak, in units of rms².
    beam_axes
        pix — semi-axes of the beam at half maximum.
    """
    peak_err = rms * np.sqrt(variance)
    per_axis = 1.0 / (np.sqrt(np.log(2)) * np.maximum(np.abs(peak) / rms, 1.0))
    return AxisErrors(peak=peak_err, integrated=peak_err, major=beam_axes[0] * per_axis, minor=beam_axes[1] * per_axis)


def systematic_errors(beam: Beam, config: SourceExtractionConfig) -> dict[str, float]:
    """Compute the systematic position errors of an image before it is calibrated, by the names of their columns.

    Parameters
    ----------
    beam
        Restoring beam.
    config
        The share of the beam's width and the further errors, which are added in quadrature unless they are "auto".

    Returns
    -------
    arcsec — ``ew_sys_err`` and ``ns_sys_err``.
    """
    further = (0.0 if error == "auto" else error for error in (config.ew_sys_err, config.ns_sys_err))
    east_west, north_south = (
        math.hypot(config.beam_sys_err * width / ARCSEC, error)
        for width, error in zip(beam.projected_widths(), further, strict=True)
    )
    return {"ew_sys_err": east_west, "ns_sys_err": north_south}
