"""Linear least-squares fits of the peaks of Gaussians with fixed positions and shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.kernels.gaussian import residuals
from trap.kernels.peaks import add_gaussians, core_pixels, fit_peaks, link_gaussians

if TYPE_CHECKING:
    from trap.extraction.boxes import PixelBoxes
    from trap.extraction.gaussian import Gaussians
    from trap.typing import Array, Indices


__all__ = ["solve_each", "solve_peaks", "subtract_sources"]

MIN_OVERLAP = 1e-6
"""Correlation of two Gaussians from which they are solved together."""


def subtract_sources(pixels: PixelBoxes, value: Array, sources: Gaussians) -> Array:
    """Subtract sources from the values of pixels.

    Parameters
    ----------
    pixels
        Positions of the pixels.
    value
        (n_pixels,) Jy/beam — values of the pixels.
    sources
        (n,) — sources, each cut off where its pixels are not in the list.

    Returns
    -------
    (n_pixels,) Jy/beam
    """
    return add_gaussians(pixels.flat, pixels.nx, value, _negative(sources))


def solve_peaks(
    pixels: PixelBoxes, value: Array, sources: Gaussians, *, core: Array, spring: Array, correlation: Array
) -> tuple[Array, Array]:
    """Fit the peaks of overlapping sources jointly.

    Sources that do not overlap, directly or through others, are solved separately, in groups.

    Parameters
    ----------
    pixels, value
        Positions of the pixels, and their values: (n_pixels,) Jy/beam.
    sources
        (n,) — positions and shapes. Their peaks are ignored.
    core
        (3,) pix⁻² — (a, b, c): the pixels with a u² + 2 b u v + c v² ≤ 1 about a source are fitted.
    spring
        (n,) — weight of a peak of zero, relative to the weight of the pixels; keeps the system regular.
    correlation
        (2 m + 1, 2 m + 1) — autocorrelation of the noise, see :mod:`trap.extraction.noise`.

    Returns
    -------
    peak
        (n,) Jy/beam
    variance
        (n,) — variance of the peak, in units of the noise squared.
    """
    group = link_gaussians(sources.parameters, MIN_OVERLAP)
    n_groups = int(group.max(initial=-1)) + 1
    order = np.argsort(group, kind="stable")
    first_source = np.searchsorted(group[order], np.arange(n_groups + 1))

    # The pixels of a group, each once and in the order of the image: group and pixel share one sorted number.
    offsets, places = core_pixels(pixels.flat, pixels.nx, np.column_stack([sources.x, sources.y]), core)
    n_pixels = max(pixels.flat.size, 1)
    group_of_place = np.repeat(group, np.diff(offsets))
    pixel_group, place = np.divmod(np.unique(group_of_place * n_pixels + places), n_pixels)
    first_pixel = np.searchsorted(pixel_group, np.arange(n_groups + 1))

    fitted_pixels = (pixels.x[place], pixels.y[place], value[place])
    peak, variance = np.empty(order.size), np.empty(order.size)
    peak[order], variance[order] = fit_peaks(
        first_pixel, fitted_pixels, first_source, sources.parameters[order], spring[order], correlation
    )
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
    """Fit the peak of each source separately, after adding back the neighbours listed for it in ``shared``.

    Parameters
    ----------
    pixels, value, sources, core, correlation
        As for :func:`solve_peaks`.
    shared
        (m,) increasing indices into ``sources``, and the m Gaussians to add back for them.

    Returns
    -------
    peak, variance
        (n,) each — as for :func:`solve_peaks`.
    """
    target, neighbours = shared
    offsets, places = core_pixels(pixels.flat, pixels.nx, np.column_stack([sources.x, sources.y]), core)
    x, y = pixels.x[places], pixels.y[places]
    first = np.arange(len(sources) + 1)
    first_neighbour = np.searchsorted(target, first)
    # Subtracting negative Gaussians adds the neighbours back.
    restored = residuals(offsets, (x, y, value[places]), first_neighbour, _negative(neighbours))
    spring = np.zeros(len(sources))
    return fit_peaks(offsets, (x, y, restored), first, sources.parameters, spring, correlation)


def _negative(sources: Gaussians) -> Array:
    """Return the (n, 6) parameters of sources with the opposite sign."""
    parameters = sources.parameters
    parameters[:, 0] *= -1
    return parameters
