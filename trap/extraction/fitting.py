"""Which Gaussian describes each source, from which pixels, and what its parameters may be off by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtri, ndtr

from trap.extraction.gaussian import Gaussians, Shape
from trap.extraction.hidden import reveal_sources
from trap.extraction.islands import list_places
from trap.extraction.joint import JointFit, fit_jointly
from trap.extraction.moments import measure_moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.config import SourceExtractionConfig
    from trap.extraction.deblend import Components
    from trap.extraction.field import Field
    from trap.extraction.islands import Islands
    from trap.typing import Array


__all__ = ["Fits", "fit_sources"]

LEAST_SIGNIFICANCE = 3.0
"""Peak of a free fit over its error, below which the shape is that of the noise along an island."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fits:
    """What was fitted to each component.

    Parameters
    ----------
    components
        Of all islands; those too that only the fits have shown.
    sources
        (n,) — the Gaussians; from moments where no fit held.
    is_fitted, is_beam_shaped
        (n,) — whether they are from a fit, and whether that had the beam's shape.
    covariance
        (n, 6, 6) — of peak, x, y, a, b, c for noise of 1 Jy/beam; zero for what was not free, NaN where unknown.
    """

    components: Components
    sources: Gaussians
    is_fitted: NDArray[np.bool_]
    is_beam_shaped: NDArray[np.bool_]
    covariance: Array


def fit_sources(
    islands: Islands,
    components: Components,
    field: Field,
    *,
    config: SourceExtractionConfig,
) -> Fits:
    """Fit the components of all islands, and those that show when these are taken away.

    With ``force_beam`` all have the beam's shape. Without it the shape is free, but an island
    in which no component's shape differs from the beam's by more than noise explains, or can be had, is given the
    beam's after all: a free shape follows the noise, and its flux density reads 3 to 4 % too much at S/N 7 to 20.

    Parameters
    ----------
    field
        With all islands of the image masked, see :func:`~trap.extraction.islands.fitted_pixels`.
    """
    beam, correlation = field.beam, field.correlation
    start = measure_moments(islands, components, beam, config.analysis_threshold)
    which = np.arange(len(islands))
    beams = [fit_jointly(Shape.BEAM, islands, which, components.first, start, field=field)]
    if config.deblend_nthresh:
        given = components
        components, beams = reveal_sources(islands, given, beams[0], field=field, config=config)
        start = _extended(start, given, components, beams)
    fits = _fits(components, beams, start, correlation)
    if config.force_beam:
        return fits
    free = _fits(
        components,
        [fit_jointly(Shape.FREE, islands, which, components.first, start, field=field)],
        start,
        correlation,
    )
    rms = field.background.rms_at(free.sources.x, free.sources.y)
    is_vague = ~(free.sources.peak > LEAST_SIGNIFICANCE * rms * np.sqrt(free.covariance[:, 0, 0]))
    is_point = fits.is_fitted & (
        (_shape_chi_squared(free, rms, beam) < _limit(config.point_like_sigma)) | ~free.is_fitted | is_vague
    )
    all_points = np.repeat(np.logical_and.reduceat(is_point, components.first[:-1]), components.counts)
    return Fits(
        components=components,
        sources=fits.sources.where(all_points, free.sources),
        is_fitted=all_points | free.is_fitted,
        is_beam_shaped=all_points,
        covariance=np.where(all_points[:, np.newaxis, np.newaxis], fits.covariance, free.covariance),
    )


def _limit(sigma: float) -> float:
    """χ² of three degrees of freedom that chance exceeds as rarely as a normal variable so many σ."""
    return float(chdtri(3, 2 * ndtr(-sigma)))


def _fits(components: Components, fits: list[JointFit], start: Gaussians, correlation: Array) -> Fits:
    """Put fits together, each of some islands, with the first guess where there is no source in them."""
    parameters, covariance = np.empty((len(start), 6)), np.empty((len(start), 6, 6))
    for fit in fits:
        rows = list_places(components.first, fit.which)
        parameters[rows], covariance[rows] = fit.sources.parameters, fit.covariances(correlation)
    sources = Gaussians.from_parameters(parameters)
    is_fitted = np.isfinite(sources.peak)
    return Fits(
        components=components,
        sources=sources.where(is_fitted, start),
        is_fitted=is_fitted,
        is_beam_shaped=is_fitted & (fits[0].shape is Shape.BEAM),
        covariance=covariance,
    )


def _extended(start: Gaussians, given: Components, components: Components, fits: list[JointFit]) -> Gaussians:
    """First guesses of all components: the beams fitted in islands that hold more of them than they had."""
    is_same = given.counts == components.counts
    parameters = np.empty((components.counts.sum(), 6))
    same = np.flatnonzero(is_same)
    parameters[list_places(components.first, same)] = start.take(list_places(given.first, same)).parameters
    for fit in fits[1:]:
        parameters[list_places(components.first, fit.which)] = fit.sources.parameters
    return Gaussians.from_parameters(parameters)


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
