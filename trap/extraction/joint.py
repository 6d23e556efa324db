"""Joint fits of the components of islands: selection of the pixels, fit, and rejection of implausible results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from trap.extraction.celestial import ellipse_axes, largest_eigenvalue
from trap.extraction.gaussian import Gaussians, Shape, fit_islands
from trap.extraction.islands import Islands, fitted_pixels, list_places
from trap.kernels.covariance import fit_covariances

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.extraction.field import Field
    from trap.typing import Array, Indices


__all__ = ["JointFit", "core_form", "fit_jointly"]

CORE_SIGMA = 1.6
"""Radius of the core of a source, in σ of the beam. All pixels of this ellipse are fitted, whether high or low."""
MIN_CORE_RADIUS = 1.5
"""Minimum radius of the core in pixels, along any direction, for beams of few pixels."""
MIN_CORE_PIXELS = 14.0
"""Minimum area of the core in pixels: with fewer than twice its six parameters a free fit would follow any noise."""
MIN_AXIS_RATIO = 0.5
"""Minor axis of a fit over the beam's, below which the fit follows a noise peak."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JointFit:
    """Fits of the components of some islands.

    Parameters
    ----------
    shape
        Free parameters.
    which
        (n,) — numbers of the islands.
    first
        (n + 1,) — components of the i-th of these islands are ``first[i]`` to ``first[i + 1]``.
    sources
        (n_components,) — Gaussians; NaN if the fit did not converge, or is implausible.
    pixels
        (n,) islands — fitted pixels.
    """

    shape: Shape
    which: Indices
    first: Indices
    sources: Gaussians
    pixels: Islands

    def take(self, rows: Indices) -> Self:
        """Return the fits of some of the islands, by their rows in ``which``."""
        return type(self)(
            shape=self.shape,
            which=self.which[rows],
            first=np.concatenate([[0], np.cumsum(np.diff(self.first)[rows])]).astype(np.intp),
            sources=self.sources.take(list_places(self.first, rows)),
            pixels=self.pixels.take(rows),
        )

    def covariances(self, correlation: Array) -> Array:
        """Compute the covariances of peak, x, y, a, b, c for noise of 1 Jy/beam.

        Parameters
        ----------
        correlation
            (2 m + 1, 2 m + 1) — autocorrelation of the noise.

        Returns
        -------
        (n_components, 6, 6)
            Zero for fixed parameters, NaN for a failed fit.
        """
        n_free, pixels = self.shape.value, self.pixels
        covariance = np.zeros((len(self.sources), 6, 6))
        covariance[:, :n_free, :n_free] = fit_covariances(
            pixels.offsets, (pixels.x, pixels.y), self.first, self.sources.parameters, n_free, correlation
        )
        return covariance


def core_form(beam: Array) -> Array:
    """Define the core of a source, the ellipse of pixels that are always fitted: a u² + 2 b u v + c v² ≤ 1.

    Parameters
    ----------
    beam
        (3,) pix⁻² — coefficients of the exponent of the beam, which sets the size of the core.

    Returns
    -------
    (3,) pix⁻²
        Coefficients a, b, c of the ellipse.
    """
    a, b, c = beam
    # Radii in σ of the beam, which is 1/√(largest eigenvalue) along the minor axis.
    radius_of_width = MIN_CORE_RADIUS * np.sqrt(largest_eigenvalue(beam))
    radius_of_area = np.sqrt(MIN_CORE_PIXELS * np.sqrt(a * c - b**2) / np.pi)
    form: Array = beam / max(CORE_SIGMA, radius_of_width, radius_of_area) ** 2
    return form


def fit_jointly(
    shape: Shape, islands: Islands, which: Indices, first: Indices, start: Gaussians, *, field: Field
) -> JointFit:
    """Fit the components of some islands, all components of an island together.

    A fit fails if it is not positive, off its island, smaller than the beam, larger than the island, or more than its
    own width from its first guess, as happens in a crowd.

    Parameters
    ----------
    shape
        Free parameters. With ``Shape.FREE`` all pixels of an island are fitted, with the cores of its components.
    islands
        Islands of the image.
    which
        (n,) — numbers of the islands to fit.
    first
        (n + 1,) — components of the i-th of these islands are ``first[i]`` to ``first[i + 1]``.
    start
        (n_components,) — first guesses. Their shapes are used in free fits only.
    field
        Image, with all its islands masked, see :func:`trap.extraction.islands.fitted_pixels`.
    """
    beam = field.beam
    if shape is Shape.BEAM:
        start = Gaussians(x=start.x, y=start.y, peak=start.peak, form=field.beam_at(start.x, start.y))
    centres, keep = np.column_stack([start.x, start.y]), shape is Shape.FREE
    pixels = fitted_pixels(islands, field, which=which, first=first, centres=centres, form=core_form(beam), keep=keep)
    counts = np.diff(first)
    fitted = fit_islands(pixels, counts, start, shape)
    if field.beams is not None:
        beam = field.beam_at(fitted.x, fitted.y)
        fitted = fitted.with_columns(form=beam) if shape is Shape.BEAM else fitted
    is_source = _is_plausible(fitted, islands.take(which), counts, beam) & _has_stayed(fitted, start)
    sources = Gaussians.from_parameters(np.where(is_source[:, np.newaxis], fitted.parameters, np.nan))
    return JointFit(shape=shape, which=which, first=first, sources=sources, pixels=pixels)


def _has_stayed(fitted: Gaussians, start: Gaussians) -> NDArray[np.bool_]:
    """Return whether fits are centred within a full width at half maximum of their first guesses."""
    u, v = fitted.x - start.x, fitted.y - start.y
    a, b, c = start.form.T
    # In units of σ, a full width is √(8 ln 2).
    stayed: NDArray[np.bool_] = a * u**2 + 2 * b * u * v + c * v**2 < 8 * np.log(2)
    return stayed


def _is_plausible(fitted: Gaussians, islands: Islands, counts: Indices, beam: Array) -> NDArray[np.bool_]:
    """Return whether fits are positive, centred within a beam of their island, and neither too small nor too large."""
    semimajor, semiminor, _ = ellipse_axes(fitted.form)
    beam_major, beam_minor, _ = ellipse_axes(beam)
    start = islands.offsets[:-1]
    is_inside = np.isfinite(fitted.peak) & (fitted.peak > 0)
    # The longer side of the island of each component.
    side = np.zeros(len(fitted))
    for centre, pixel in ((fitted.x, islands.x), (fitted.y, islands.y)):
        ends = np.minimum.reduceat(pixel, start), np.maximum.reduceat(pixel, start)
        low, high = np.repeat(ends, counts, axis=1)
        is_inside &= (centre >= low - 2 * beam_major) & (centre <= high + 2 * beam_major)
        side = np.maximum(side, high - low)
    return is_inside & (semiminor > MIN_AXIS_RATIO * beam_minor) & (semimajor < 2 * (side + beam_major))
