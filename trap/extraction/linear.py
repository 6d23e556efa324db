"""Peaks of Gaussians whose places and shapes are known, all of them at once, by linear least squares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.kernels.gaussian import residuals
from trap.kernels.peaks import add_gaussians, core_pixels, fit_peaks, link_gaussians

if TYPE_CHECKING:
    from trap.extraction.boxes import PixelBoxes
    from trap.extraction.gaussian import Gaussians
    from trap.typing import Array, Indices


__all__ = ["REACH_SIGMA", "solve_each", "solve_peaks", "without"]

REACH_SIGMA = 6.0
"""Where a Gaussian ends, in its own σ: at 1.5e-8 of its peak."""
LEAST_OVERLAP = 1e-6
"""Correlation of two Gaussians below which they are solved apart."""


def without(pixels: PixelBoxes, value: Array, sources: Gaussians) -> Array:
    """(n_pixels,) Jy/beam — what is left of the pixels when sources are taken away."""
    parameters = sources.parameters
    parameters[:, 0] *= -1
    return add_gaussians(pixels.flat, pixels.nx, value, parameters)


def solve_peaks(
    pixels: PixelBoxes, value: Array, sources: Gaussians, *, core: Array, spring: Array, correlation: Array
) -> tuple[Array, Array]:
    """Least-squares peaks of sources that shine into each other.

    Parameters
    ----------
    value
        (n_pixels,) Jy/beam
    sources
        Places and shapes.
    core
        (3,) pix⁻² — (a, b, c): of each source the pixels where a u² + 2 b u v + c v² ≤ 1 take part.
    spring
        (n,) — pulls a peak towards zero, as a share of its weight; keeps the system regular.
    correlation
        Autocorrelation of the noise, see :mod:`trap.extraction.noise`.

    Returns
    -------
    peak, variance
        (n,) Jy/beam, and in units of the noise squared.
    """
    group = link_gaussians(sources.parameters, LEAST_OVERLAP)
    order, n_groups = np.argsort(group, kind="stable"), int(group.max(initial=-1)) + 1
    offsets, places = core_pixels(pixels.flat, pixels.nx, np.column_stack([sources.x, sources.y]), core)
    # Each pixel once in its group, in the order of the image.
    n_pixels = max(pixels.flat.size, 1)
    own_group, own = np.divmod(np.unique(np.repeat(group, np.diff(offsets)) * n_pixels + places), n_pixels)
    starts = [np.searchsorted(numbers, np.arange(n_groups + 1)) for numbers in (own_group, group[order])]
    lists = (pixels.x[own], pixels.y[own], value[own])
    solved = fit_peaks(starts[0], lists, starts[1], sources.parameters[order], spring[order], correlation)
    peak, variance = np.empty(order.size), np.empty(order.size)
    peak[order], variance[order] = solved
    return peak, variance


def solve_each(
    pixels: PixelBoxes,
    value: Array,
    sources: Gaussians,
    shared: tuple[Indices, Gaussians],
    *,
    core: Array,
    correlation: Array,
) -> tuple[Array, Array]:
    """Peaks of sources one by one, each with some of what was taken away put back for it alone.

    Parameters
    ----------
    shared
        (m,) and m rows — for which source, increasing, and what.
    """
    offsets, places = core_pixels(pixels.flat, pixels.nx, np.column_stack([sources.x, sources.y]), core)
    whose, back = shared
    one_each = np.arange(len(sources) + 1)
    holes = back.parameters
    holes[:, 0] *= -1
    lists = (pixels.x[places], pixels.y[places], value[places])
    whole = residuals(offsets, lists, np.searchsorted(whose, one_each), holes)
    return fit_peaks(offsets, (*lists[:2], whole), one_each, sources.parameters, np.zeros(len(sources)), correlation)
