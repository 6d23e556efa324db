"""Which Gaussian describes each source, from which pixels, and what its parameters may be off by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import chi2, norm

from trap.extraction.celestial import ellipse_axes
from trap.extraction.gaussian import Gaussians, Shape, fit_islands
from trap.extraction.islands import fitted_pixels
from trap.extraction.moments import measure_moments
from trap.kernels.covariance import fit_covariances

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.config import SourceExtractionConfig
    from trap.extraction.background import Background
    from trap.extraction.deblend import Components
    from trap.extraction.islands import Islands
    from trap.extraction.sky import Sky

    Array = NDArray[np.float64]

__all__ = ["Fits", "fit_sources"]

CORE_SIGMA = 1.6
"""Radius, in σ of the beam, of the ellipse about a point source that is fitted whatever its pixels' values."""
CORE_RADIUS = 1.5
"""The same in pixels at the least, along any direction, for beams of few pixels."""
CORE_PIXELS = 14.0
"""Its least area: a free fit with fewer than twice its six parameters would follow any noise."""
SMALLEST_FIT = 0.5
"""A fit with a minor axis below this share of the beam's follows a noise peak, not a source."""
LEAST_SIGNIFICANCE = 3.0
"""Peak of a free fit over its error, below which the shape is that of the noise along an island."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fits:
    """What was fitted to each component.

    Parameters
    ----------
    sources
        (n,) — the Gaussians; from moments where no fit held.
    is_fitted, is_beam_shaped
        (n,) — whether they are from a fit, and whether that had the beam's shape.
    covariance
        (n, 6, 6) — of peak, x, y, a, b, c for noise of 1 Jy/beam; zero for what was not free, NaN where unknown.
    """

    sources: Gaussians
    is_fitted: NDArray[np.bool_]
    is_beam_shaped: NDArray[np.bool_]
    covariance: Array


def fit_sources(
    islands: Islands,
    components: Components,
    sky: Sky,
    *,
    beam: Array,
    background: Background,
    correlation: Array,
    config: SourceExtractionConfig,
) -> Fits:
    """Fit the components of all islands.

    With ``force_beam`` all have the beam's shape. Without it the shape is free, but an island
    in which no component's shape differs from the beam's by more than noise explains, or can be had, is given the
    beam's after all: a free shape follows the noise, and its flux density reads 3 to 4 % too much at S/N 7 to 20.

    Parameters
    ----------
    beam
        (3,) pix⁻² — coefficients of its exponent.
    correlation
        Autocorrelation of the noise, see :mod:`trap.extraction.noise`.
    """
    moments = measure_moments(islands, components, beam, config.analysis_threshold)
    fits = _fit(Shape.BEAM, islands, components, sky, moments, beam, correlation)
    if config.force_beam:
        return fits
    free = _fit(Shape.FREE, islands, components, sky, moments, beam, correlation)
    rms = background.rms_at(free.sources.x, free.sources.y)
    is_vague = ~(free.sources.peak > LEAST_SIGNIFICANCE * rms * np.sqrt(free.covariance[:, 0, 0]))
    is_point = fits.is_fitted & (
        (_shape_chi_squared(free, rms, beam) < _limit(config.point_like_sigma)) | ~free.is_fitted | is_vague
    )
    start = components.first[:-1]
    all_points = np.repeat(np.logical_and.reduceat(is_point, start), components.counts)
    return Fits(
        sources=fits.sources.where(all_points, free.sources),
        is_fitted=all_points | free.is_fitted,
        is_beam_shaped=all_points,
        covariance=np.where(all_points[:, np.newaxis, np.newaxis], fits.covariance, free.covariance),
    )


def _limit(sigma: float) -> float:
    """χ² of three degrees of freedom that chance exceeds as rarely as a normal variable so many σ."""
    return float(chi2.isf(2 * norm.sf(sigma), 3))


def _fit(
    shape: Shape,
    islands: Islands,
    components: Components,
    sky: Sky,
    moments: Gaussians,
    beam: Array,
    correlation: Array,
) -> Fits:
    start = moments
    if shape is Shape.BEAM:
        start = Gaussians(x=moments.x, y=moments.y, peak=moments.peak, form=np.tile(beam, (len(moments), 1)))
    pixels = fitted_pixels(
        islands,
        sky,
        first=components.first,
        centres=np.column_stack([moments.x, moments.y]),
        form=_core(beam),
        keep=shape is Shape.FREE,
    )
    fitted = fit_islands(pixels, components.counts, start, shape)
    is_good = _is_plausible(fitted, islands, components.counts, beam) & _has_stayed(fitted, moments)
    covariance = np.zeros((len(fitted), 6, 6))
    covariance[:, : shape.value, : shape.value] = fit_covariances(
        pixels.offsets, (pixels.x, pixels.y), components.first, fitted.parameters, shape.value, correlation
    )
    return Fits(
        sources=fitted.where(is_good, moments),
        is_fitted=is_good,
        is_beam_shaped=is_good & (shape is Shape.BEAM),
        covariance=covariance,
    )


def _has_stayed(fitted: Gaussians, start: Gaussians) -> NDArray[np.bool_]:
    """Whether fits are centred within the width of what they started from: in a crowd some find another's place."""
    u, v = fitted.x - start.x, fitted.y - start.y
    a, b, c = start.form.T
    stayed: NDArray[np.bool_] = a * u**2 + 2 * b * u * v + c * v**2 < 8 * np.log(2)
    return stayed


def _core(beam: Array) -> Array:
    """Coefficients of the ellipse of pixels about a component that are fitted in any case."""
    a, b, c = beam
    largest = (a + c) / 2 + np.hypot((a - c) / 2, b)
    radius = max(CORE_SIGMA, CORE_RADIUS * np.sqrt(largest), np.sqrt(CORE_PIXELS * np.sqrt(a * c - b**2) / np.pi))
    scaled: Array = beam / radius**2
    return scaled


def _shape_chi_squared(free: Fits, rms: Array, beam: Array) -> Array:
    """(n,) — how far the fitted shapes are from the beam's, in terms of their errors; infinite where unknown."""
    chi_squared = np.full(len(free.sources), np.inf)
    known = free.is_fitted & np.isfinite(free.covariance).all(axis=(1, 2))
    difference = (free.sources.form[known] - beam) / rms[known, np.newaxis]
    covariance = free.covariance[known, 3:, 3:]
    # In units of the beam's coefficients, of which the matrix has the squares.
    solved = np.linalg.solve(covariance / beam[0] ** 2, difference[:, :, np.newaxis] / beam[0])[:, :, 0]
    chi_squared[known] = (difference / beam[0] * solved).sum(axis=1)
    return chi_squared


def _is_plausible(fitted: Gaussians, islands: Islands, counts: NDArray[np.intp], beam: Array) -> NDArray[np.bool_]:
    """Whether fits are positive, centred on their island (give or take a beam) and of a size it can have."""
    semimajor, semiminor, _ = ellipse_axes(fitted.form)
    beam_major, beam_minor, _ = ellipse_axes(beam)
    start = islands.offsets[:-1]
    size = np.zeros(len(fitted))
    inside = np.isfinite(fitted.peak) & (fitted.peak > 0)
    for centre, pixel in ((fitted.x, islands.x), (fitted.y, islands.y)):
        low, high = np.repeat([np.minimum.reduceat(pixel, start), np.maximum.reduceat(pixel, start)], counts, axis=1)
        inside &= (centre >= low - 2 * beam_major) & (centre <= high + 2 * beam_major)
        size = np.maximum(size, high - low)
    return inside & (semiminor > SMALLEST_FIT * beam_minor) & (semimajor < 2 * (size + beam_major))
