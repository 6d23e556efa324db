"""Joint fits of the components of islands: to which pixels, and whether what comes out is a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.extraction.celestial import ellipse_axes
from trap.extraction.gaussian import Gaussians, Shape, fit_islands
from trap.extraction.islands import Islands, fitted_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.extraction.sky import Sky

    Array = NDArray[np.float64]
    Indices = NDArray[np.intp]

__all__ = ["fit_jointly"]

CORE_SIGMA = 1.6
"""Radius, in σ of the beam, of the ellipse about a point source that is fitted whatever its pixels' values."""
CORE_RADIUS = 1.5
"""The same in pixels at the least, along any direction, for beams of few pixels."""
CORE_PIXELS = 14.0
"""Its least area: a free fit with fewer than twice its six parameters would follow any noise."""
SMALLEST_FIT = 0.5
"""A fit with a minor axis below this share of the beam's follows a noise peak, not a source."""


def fit_jointly(
    shape: Shape, islands: Islands, which: Indices, first: Indices, start: Gaussians, *, sky: Sky, beam: Array
) -> tuple[Islands, Gaussians]:
    """Fit the components of some islands, those of an island together.

    Parameters
    ----------
    shape
        What is free. With ``Shape.FREE`` all pixels of an island take part, beside those around its components.
    islands, which
        All islands, no pixel of which another one is fitted to, and the (n,) numbers of those that are fitted.
    first
        (n + 1,) — where the components of each start.
    start
        First guesses; their shapes are taken for free fits only.
    beam
        (3,) pix⁻² — coefficients of its exponent.

    Returns
    -------
    pixels
        Those that were fitted, for each of ``which``.
    fitted
        NaN where the fit did not converge, or found no source: one that is not positive, off its island, smaller
        than the beam or larger than the island, or more than its own width from where it started, as happens in
        a crowd.
    """
    if shape is Shape.BEAM:
        start = Gaussians(x=start.x, y=start.y, peak=start.peak, form=np.tile(beam, (len(start), 1)))
    centres = np.column_stack([start.x, start.y])
    keep = shape is Shape.FREE
    pixels = fitted_pixels(islands, sky, which=which, first=first, centres=centres, form=_core(beam), keep=keep)
    counts = np.diff(first)
    fitted = fit_islands(pixels, counts, start, shape)
    is_source = _is_plausible(fitted, islands.take(which), counts, beam) & _has_stayed(fitted, start)
    return pixels, Gaussians.of(np.where(is_source[:, np.newaxis], fitted.parameters, np.nan))


def _core(beam: Array) -> Array:
    """Coefficients of the ellipse of pixels about a component that are fitted in any case."""
    a, b, c = beam
    largest = (a + c) / 2 + np.hypot((a - c) / 2, b)
    radius = max(CORE_SIGMA, CORE_RADIUS * np.sqrt(largest), np.sqrt(CORE_PIXELS * np.sqrt(a * c - b**2) / np.pi))
    scaled: Array = beam / radius**2
    return scaled


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
