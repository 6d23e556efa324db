"""How far a measurement may be off: 1σ errors of peaks, fluxes and positions.

Noise in a radio image is correlated over the beam, so errors do not shrink with the number of
pixels. For a free fit they follow Condon (1997). His formulas are an interpolation for fits of all
six parameters; a fit of the beam's shape has errors of its own, derived here. The noise is
taken as white noise smoothed with the beam throughout.

Unlike TraP's, no flux density is corrected for a noise bias: that correction, p' = p - σ²/p,
diverges at low S/N.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ive

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = [
    "ErrorColumns",
    "beam_fit_errors",
    "forced_fit_errors",
    "gaussian_fit_errors",
    "moments_errors",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ErrorColumns:
    """1σ errors of Gaussians.

    Parameters
    ----------
    peak
        (n,) Jy/beam
    integrated
        (n,) Jy
    major, minor
        (n,) pix — of the position, along the major and the minor axis.
    """

    peak: Array
    integrated: Array
    major: Array
    minor: Array

    def where(self, condition: NDArray[np.bool_], other: ErrorColumns) -> ErrorColumns:
        """Take these rows where ``condition`` holds, and those of ``other`` elsewhere."""
        return ErrorColumns(
            peak=np.where(condition, self.peak, other.peak),
            integrated=np.where(condition, self.integrated, other.integrated),
            major=np.where(condition, self.major, other.major),
            minor=np.where(condition, self.minor, other.minor),
        )


def gaussian_fit_errors(
    peak: Array, flux: Array, *, rms: Array, axes: tuple[Array, Array], beam_axes: tuple[float, float]
) -> ErrorColumns:
    """Errors of a fit in which everything is free: Condon (1997), eq. 21, with the ρ of eq. 41.

    Position errors are Condon's, which TraP (after NVSS, eq. 25) takes √2 larger.

    Parameters
    ----------
    peak, flux
        (n,) Jy/beam and Jy
    rms
        (n,) Jy/beam — local noise.
    axes
        (n,) pix each — fitted semi-axes at half maximum, major and minor.
    beam_axes
        pix — those of the beam.
    """
    (a, b), (beam_a, beam_b) = axes, beam_axes

    def rho(major_power: float, minor_power: float) -> Array:
        # Half widths of source over full widths of beam: the factor 1/4 of Condon's ρ².
        smoothing = (1 + (beam_a / a) ** 2) ** major_power * (1 + (beam_b / b) ** 2) ** minor_power
        squared: Array = a * b / (4 * beam_a * beam_b) * smoothing * (peak / rms) ** 2
        return np.sqrt(squared)

    rho_major, rho_minor, rho_peak = rho(2.5, 0.5), rho(0.5, 2.5), rho(1.5, 1.5)
    return ErrorColumns(
        peak=np.sqrt(2) * np.abs(peak) / rho_peak,
        integrated=np.abs(flux)
        * _flux_error_share(2 / rho_peak**2, 2 / rho_major**2 + 2 / rho_minor**2, axes, beam_axes),
        major=a / (np.sqrt(np.log(2)) * rho_major),
        minor=b / (np.sqrt(np.log(2)) * rho_minor),
    )


def moments_errors(
    peak: Array,
    flux: Array,
    *,
    rms: Array,
    axes: tuple[Array, Array],
    beam_axes: tuple[float, float],
    threshold: Array,
    peak_variance: float,
) -> ErrorColumns:
    """Errors of a measurement by moments, as TraP takes them (TF §5.8; Spreeuw 2010).

    Position errors without the factor √2, as in :func:`gaussian_fit_errors`.

    Parameters
    ----------
    peak, flux, rms, axes, beam_axes
        See :func:`gaussian_fit_errors`.
    threshold
        (n,) Jy/beam — analysis threshold, positive.
    peak_variance
        V_max of :func:`trap.extraction.moments.peak_correction`.
    """
    (a, b), (beam_a, beam_b) = axes, beam_axes
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = peak / threshold
        # Mean of the part above the threshold in the logarithm; its limit where there is next to none.
        height = np.where(np.abs(ratio - 1) > 1e-6, (peak - threshold) / np.log(ratio), peak)
    rho_squared = 4 * a * b / (np.log(2) * beam_a * beam_b) * (height / rms) ** 2
    peak_err = np.sqrt(rms**2 + peak_variance * peak**2)
    return ErrorColumns(
        peak=peak_err,
        integrated=np.abs(flux) * _flux_error_share((peak_err / peak) ** 2, 4 / rho_squared, axes, beam_axes),
        major=a / np.sqrt(np.log(2) * rho_squared),
        minor=b / np.sqrt(np.log(2) * rho_squared),
    )


def _flux_error_share(
    peak_share_squared: Array, axes_share_squared: Array, axes: tuple[Array, Array], beam_axes: tuple[float, float]
) -> Array:
    """σ_F/F from the relative variances of the peak and of the two axes: Condon (1997), eq. 35."""
    (a, b), (beam_a, beam_b) = axes, beam_axes
    return np.sqrt(peak_share_squared + beam_a * beam_b / (a * b) * axes_share_squared)


def beam_fit_errors(peak: Array, *, rms: Array, beam_axes: tuple[float, float], threshold: Array) -> ErrorColumns:
    """Errors of a fit of the beam's shape to the pixels above a threshold.

    Least squares gives the pixels in the wings their full say, though with correlated noise
    they tell little that is new: a fit to the highest pixels alone would have σ as the error of its
    peak, one to all pixels has √2 σ. (TraP quotes σ, and √3 σ for the integrated flux density of the
    same fit.) With the shape fixed, the integrated flux density has the relative error of the peak.

    Parameters
    ----------
    peak, rms
        (n,) Jy/beam
    beam_axes
        pix — semi-axes of the beam at half maximum.
    threshold
        (n,) Jy/beam — analysis threshold, below which pixels took no part.
    """
    depth, peak_variance, position_variance = _beam_fit_variances()
    with np.errstate(divide="ignore", invalid="ignore"):
        reached = np.log(np.maximum(peak / threshold, 1.0))
    peak_err = rms * np.sqrt(np.interp(reached, depth, peak_variance))
    per_axis = np.sqrt(np.interp(reached, depth, position_variance)) * rms / (np.sqrt(2 * np.log(2)) * peak)
    return ErrorColumns(
        peak=peak_err, integrated=peak_err, major=beam_axes[0] * per_axis, minor=beam_axes[1] * per_axis
    )


@cache
def _beam_fit_variances() -> tuple[Array, Array, Array]:
    """Variances of a beam-shaped fit to the ellipse of pixels above a threshold.

    With g = exp(-r²/2), the beam in units of its own σ, and the autocorrelation
    C = exp(-r²/4) of white noise smoothed with it, the covariance of least squares is
    (JᵀJ)⁻¹ Jᵀ C J (JᵀJ)⁻¹, J being g for the peak and its derivative for the position. Integrals over angle
    are Bessel functions; those over radius are done by Gauss-Legendre quadrature.

    Returns
    -------
    depth
        ln(peak/threshold), the square of the ellipse's radius over 2.
    peak
        Variance of the peak in units of σ²: 1 to 2.
    position
        Variance of the position in units of (beam σ / S/N)²: 1/2 to 2.
    """
    depth = np.geomspace(1e-3, 16.0, 128)
    nodes, weights = np.polynomial.legendre.leggauss(64)
    peak, position = [], []
    for radius in np.sqrt(2 * depth):
        r, w = radius * (nodes + 1) / 2, radius * weights / 2
        product = np.multiply.outer(r, r) / 2
        # exp(-¾ r² - ¾ r′² + r r′/2), the last part from the scaled Bessel functions.
        noise = np.exp(product - 0.75 * np.add.outer(r**2, r**2)) * np.outer(w, w) * 4 * np.pi**2
        weight = np.pi * -np.expm1(-(radius**2))
        slope = np.pi * ((w * r**3) @ np.exp(-(r**2)))
        peak.append((np.outer(r, r) * ive(0, product) * noise).sum() / weight**2)
        position.append((np.outer(r, r) ** 2 * ive(1, product) * noise).sum() / 2 / slope**2)
    return depth, np.array(peak), np.array(position)


def forced_fit_errors(peak: Array, *, rms: Array, variance: Array, beam_axes: tuple[float, float]) -> ErrorColumns:
    """Errors of a beam-shaped fit at a given position.

    The position has no error of its own; as TraP does, it is given that of a free fit to a source
    of the same S/N (:func:`gaussian_fit_errors` × √2), and of S/N 1 where there is none.

    Parameters
    ----------
    peak, rms
        (n,) Jy/beam
    variance
        (n,) — of the peak, in units of rms².
    beam_axes
        pix — semi-axes of the beam at half maximum.
    """
    peak_err = rms * np.sqrt(variance)
    per_axis = 1.0 / (np.sqrt(np.log(2)) * np.maximum(np.abs(peak) / rms, 1.0))
    return ErrorColumns(
        peak=peak_err, integrated=peak_err, major=beam_axes[0] * per_axis, minor=beam_axes[1] * per_axis
    )
