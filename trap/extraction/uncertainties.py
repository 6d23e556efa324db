"""How far a measurement may be off: 1σ errors of peaks, fluxes and positions.

Noise in a radio image is correlated over the beam, so errors do not shrink with the number of
pixels. What a fit may be off by follows from the noise and its autocorrelation as measured in the
image itself; Condon's (1997) formulas, which interpolate, are there for comparison.

Unlike TraP's, no flux density is corrected for a noise bias: that correction, p' = p - σ²/p,
diverges at low S/N.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trap.extraction.celestial import ellipse_axes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.extraction.gaussian import Gaussians
    from trap.typing import Array


__all__ = [
    "ErrorColumns",
    "Errors",
    "correlated_errors",
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

    def turned(self, form: Array) -> Errors:
        """Turn the position errors from the axes of the ellipses to x and y.

        Parameters
        ----------
        form
            (n, 3) pix⁻² — coefficients of the exponents.
        """
        *_, angle = ellipse_axes(form)
        major, minor, cos, sin = self.major**2, self.minor**2, np.cos(angle), np.sin(angle)
        along_x, across = major * cos**2 + minor * sin**2, (major - minor) * sin * cos
        position = np.column_stack([along_x, across, major * sin**2 + minor * cos**2])
        return Errors(peak=self.peak, integrated=self.integrated, position=position)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Errors:
    """1σ errors of Gaussians.

    Parameters
    ----------
    peak, integrated
        (n,) Jy/beam and Jy
    position
        (n, 3) pix² — variance of x, covariance of x and y, variance of y.
    """

    peak: Array
    integrated: Array
    position: Array

    def where(self, condition: NDArray[np.bool_], other: Errors) -> Errors:
        """Take these rows where ``condition`` holds, and those of ``other`` elsewhere."""
        return Errors(
            peak=np.where(condition, self.peak, other.peak),
            integrated=np.where(condition, self.integrated, other.integrated),
            position=np.where(condition[:, np.newaxis], self.position, other.position),
        )


def correlated_errors(covariance: Array, sources: Gaussians, flux: Array, *, rms: Array) -> Errors:
    """Errors from the covariance of the fitted parameters.

    Parameters
    ----------
    covariance
        (n, 6, 6) — of peak, x, y, a, b, c, for noise of 1 Jy/beam; zero for what was not free.
    flux
        (n,) Jy — F ∝ peak / √(a c - b²).
    rms
        (n,) Jy/beam — local noise.
    """
    a, b, c = sources.form.T
    determinant = a * c - b**2
    nothing = np.zeros_like(a)
    # dF/F
    slope = np.column_stack(
        [1 / sources.peak, nothing, nothing, -c / (2 * determinant), b / determinant, -a / (2 * determinant)]
    )
    share = np.einsum("ni,nij,nj->n", slope, covariance, slope)
    place = np.column_stack([covariance[:, 1, 1], covariance[:, 1, 2], covariance[:, 2, 2]])
    with np.errstate(invalid="ignore"):
        return Errors(
            peak=rms * np.sqrt(covariance[:, 0, 0]),
            integrated=rms * np.abs(flux) * np.sqrt(share),
            position=rms[:, np.newaxis] ** 2 * place,
        )


def gaussian_fit_errors(
    peak: Array,
    flux: Array,
    *,
    rms: Array,
    axes: tuple[Array, Array],
    beam_axes: tuple[float, float],
    is_beam_shaped: NDArray[np.bool_] | bool = False,
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
    is_beam_shaped
        (n,) — whether the shape was fixed, so that the integrated flux density has the relative error of the peak.
    """
    (a, b), (beam_a, beam_b) = axes, beam_axes

    def rho(major_power: float, minor_power: float) -> Array:
        # Half widths of source over full widths of beam: the factor 1/4 of Condon's ρ².
        smoothing = (1 + (beam_a / a) ** 2) ** major_power * (1 + (beam_b / b) ** 2) ** minor_power
        squared: Array = a * b / (4 * beam_a * beam_b) * smoothing * (peak / rms) ** 2
        return np.sqrt(squared)

    rho_major, rho_minor, rho_peak = rho(2.5, 0.5), rho(0.5, 2.5), rho(1.5, 1.5)
    shape_share = np.where(is_beam_shaped, 0.0, 2 / rho_major**2 + 2 / rho_minor**2)
    return ErrorColumns(
        peak=np.sqrt(2) * np.abs(peak) / rho_peak,
        integrated=np.abs(flux) * _flux_error_share(2 / rho_peak**2, shape_share, axes, beam_axes),
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
