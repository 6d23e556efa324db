"""Joint fits of the components of islands: to which pixels, and whether what comes out is a source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from trap.extraction.celestial import ellipse_axes
from trap.extraction.gaussian import Gaussians, Shape, fit_islands
from trap.extraction.islands import Islands, fitted_pixels, list_places
from trap.kernels.covariance import fit_covariances

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.extraction.field import Field
    from trap.typing import Array, Indices


__all__ = ["JointFit", "core_form", "fit_jointly"]

CORE_SIGMA = 1.6
"""Radius, in σ of the beam, of the ellipse about a point source that is fitted whatever its pixels' values."""
CORE_RADIUS = 1.5
"""The same in pixels at the least, along any direction, for beams of few pixels."""
CORE_PIXELS = 14.0
"""Its least area: a free fit with fewer than twice its six parameters would follow any noise."""
SMALLEST_FIT = 0.5
"""A fit with a minor axis below this share of the beam's follows a noise peak, not a source."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JointFit:
    """Some islands, and what was fitted to them.

    Parameters
    ----------
    shape
        What was free.
    which
        (n,) — numbers of the islands.
    first
        (n + 1,) — where the components of each start.
    sources
        The components; NaN where the fit did not converge, or found no source.
    pixels
        (n islands) — what they were fitted to.
    """

    shape: Shape
    which: Indices
    first: Indices
    sources: Gaussians
    pixels: Islands

    def take(self, rows: Indices) -> Self:
        """Take some of the islands."""
        return type(self)(
            shape=self.shape,
            which=self.which[rows],
            first=np.concatenate([[0], np.cumsum(np.diff(self.first)[rows])]).astype(np.intp),
            sources=self.sources.take(list_places(self.first, rows)),
            pixels=self.pixels.take(rows),
        )

    def covariances(self, correlation: Array) -> Array:
        """(n_components, 6, 6) — of peak, x, y, a, b, c in noise of 1 Jy/beam; zero for what was not free.

        NaN where the fit found no source. ``correlation`` is the autocorrelation of the noise.
        """
        n_free, pixels = self.shape.value, self.pixels
        covariance = np.zeros((len(self.sources), 6, 6))
        covariance[:, :n_free, :n_free] = fit_covariances(
            pixels.offsets, (pixels.x, pixels.y), self.first, self.sources.parameters, n_free, correlation
        )
        return covariance


def core_form(beam: Array) -> Array:
    """(3,) pix⁻² — the ellipse of pixels about a source that are fitted in any case: a u² + 2 b u v + c v² ≤ 1.

    Parameters
    ----------
    beam
        (3,) pix⁻² — coefficients of its exponent.
    """
    a, b, c = beam
    largest = (a + c) / 2 + np.hypot((a - c) / 2, b)
    radius = max(CORE_SIGMA, CORE_RADIUS * np.sqrt(largest), np.sqrt(CORE_PIXELS * np.sqrt(a * c - b**2) / np.pi))
    scaled: Array = beam / radius**2
    return scaled


def fit_jointly(
    shape: Shape, islands: Islands, which: Indices, first: Indices, start: Gaussians, *, field: Field
) -> JointFit:
    """Fit the components of some islands, those of an island together.

    A fit finds no source where that is not positive, off its island, smaller than the beam or larger than the island,
    or more than its own width from where it started, as happens in a crowd.

    Parameters
    ----------
    shape
        What is free. With ``Shape.FREE`` all pixels of an island take part, beside those around its components.
    islands, which
        Islands, and the (n,) numbers of those that are fitted.
    first
        (n + 1,) — where the components of each start.
    start
        First guesses; their shapes are taken for free fits only.
    field
        With the islands masked, see :func:`trap.extraction.islands.fitted_pixels`.
    """
    beam = field.beam
    if shape is Shape.BEAM:
        start = Gaussians(x=start.x, y=start.y, peak=start.peak, form=np.tile(beam, (len(start), 1)))
    centres, keep = np.column_stack([start.x, start.y]), shape is Shape.FREE
    pixels = fitted_pixels(islands, field, which=which, first=first, centres=centres, form=core_form(beam), keep=keep)
    counts = np.diff(first)
    fitted = fit_islands(pixels, counts, start, shape)
    is_source = _is_plausible(fitted, islands.take(which), counts, beam) & _has_stayed(fitted, start)
    sources = Gaussians.from_parameters(np.where(is_source[:, np.newaxis], fitted.parameters, np.nan))
    return JointFit(shape=shape, which=which, first=first, sources=sources, pixels=pixels)


def _has_stayed(fitted: Gaussians, start: Gaussians) -> NDArray[np.bool_]:
    """Whether fits are centred within the width of what they started from."""
    u, v = fitted.x - start.x, fitted.y - start.y
    a, b, c = start.form.T
    stayed: NDArray[np.bool_] = a * u**2 + 2 * b * u * v + c * v**2 < 8 * np.log(2)
    return stayed


def _is_plausible(fitted: Gaussians, islands: Islands, counts: Indices, beam: Array) -> NDArray[np.bool_]:
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
