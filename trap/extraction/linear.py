"""Linear least-squares fits of the peaks of Gaussians with fixed positions and shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.extraction.crowds import MAX_JOINT, cut_into_blocks
from trap.kernels.gaussian import residuals
from trap.kernels.peaks import add_gaussians, core_pixels, fit_peaks, link_gaussians

if TYPE_CHECKING:
    from trap.extraction.boxes import PixelBoxes
    from trap.extraction.crowds import Blocks
    from trap.extraction.gaussian import Gaussians
    from trap.typing import Array, Indices


__all__ = ["solve_each", "solve_peaks", "subtract_sources"]

MIN_OVERLAP = 1e-6
"""Correlation of two Gaussians from which they are solved together."""
BATCH = 8192
"""Number of sources whose pixels are listed at a time."""
MAX_SWEEPS = 10
"""Number of times that all blocks of a crowd are solved, each with the residuals of the others."""
SWEEP_TOLERANCE = 0.01
"""Largest change of a peak, over its error, at which the solution of a crowd has converged."""


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

    Sources that do not overlap, directly or through others, are solved separately, in groups. A group of more than
    :data:`~trap.extraction.crowds.MAX_JOINT` sources is solved block by block, in turn, until nothing changes.

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
    is_crowded = np.bincount(group, minlength=1)[group] > MAX_JOINT
    peak, variance = np.empty(len(sources)), np.empty(len(sources))
    few = np.flatnonzero(~is_crowded)
    order = few[np.argsort(group[few], kind="stable")]
    first = np.append(np.flatnonzero(np.diff(group[order], prepend=-1)), order.size)
    peak[order], variance[order] = _fit_groups(
        pixels, value, sources.take(order), first, core=core, spring=spring[order], correlation=correlation
    )
    if is_crowded.any():
        many = np.flatnonzero(is_crowded)
        value = subtract_sources(pixels, value, sources.take(few).with_columns(peak=peak[few]))
        peak[many], variance[many] = _solve_crowd(
            pixels, value, sources.take(many), core=core, spring=spring[many], correlation=correlation
        )
    return peak, variance


def _fit_groups(
    pixels: PixelBoxes,
    value: Array,
    sources: Gaussians,
    first: Indices,
    *,
    core: Array,
    spring: Array,
    correlation: Array,
) -> tuple[Array, Array]:
    """Fit the peaks of groups; the sources of group i are ``first[i]`` to ``first[i + 1]``."""
    # The pixels of a group, each once and in the order of the image: group and pixel share one sorted number.
    group = np.repeat(np.arange(first.size - 1), np.diff(first))
    offsets, places = core_pixels(pixels.flat, pixels.nx, np.column_stack([sources.x, sources.y]), core)
    n_pixels = max(pixels.flat.size, 1)
    group_of_place = np.repeat(group, np.diff(offsets))
    pixel_group, place = np.divmod(np.unique(group_of_place * n_pixels + places), n_pixels)
    first_pixel = np.searchsorted(pixel_group, np.arange(first.size))
    fitted_pixels = (pixels.x[place], pixels.y[place], value[place])
    return fit_peaks(first_pixel, fitted_pixels, first, sources.parameters, spring, correlation)


def _solve_crowd(
    pixels: PixelBoxes, value: Array, sources: Gaussians, *, core: Array, spring: Array, correlation: Array
) -> tuple[Array, Array]:
    """Fit the peaks of a crowd, block by block: each sweep corrects all peaks by what the last one left over.

    This is Schwarz's method with overlapping domains. The variances are of each source's own block, where its rim is
    fitted with it.
    """
    blocks = cut_into_blocks(sources.parameters)
    peak, variance = np.zeros(len(sources)), np.full(len(sources), np.nan)
    # A fit is judged by the pixels that it is fitted to.
    fitted = np.unique(core_pixels(pixels.flat, pixels.nx, np.column_stack([sources.x, sources.y]), core)[1])
    cost = float(np.sum(value[fitted] ** 2))
    for sweep in range(MAX_SWEEPS):
        # Errors do not depend on the peaks. Without correlation they take no time.
        noise = correlation if sweep == 0 else np.ones((1, 1))
        change, found = _correct(blocks, pixels, value, sources, core=core, spring=spring, correlation=noise)
        variance = found if sweep == 0 else variance
        left = subtract_sources(pixels, value, sources.with_columns(peak=change))
        left_cost = float(np.sum(left[fitted] ** 2))
        if not left_cost <= cost:
            break
        peak, value, cost = peak + change, left, left_cost
        with np.errstate(invalid="ignore"):
            has_converged = np.nanmax(change**2 / variance, initial=0.0) < SWEEP_TOLERANCE**2 * cost / fitted.size
        if has_converged:
            break
    return peak, variance


def _correct(
    blocks: Blocks,
    pixels: PixelBoxes,
    value: Array,
    sources: Gaussians,
    *,
    core: Array,
    spring: Array,
    correlation: Array,
) -> tuple[Array, Array]:
    """Fit the peaks of all blocks with their rims to the same values; return those of each source's own block."""
    peak, variance = np.empty(len(sources)), np.empty(len(sources))
    for first, places in blocks.batches(BATCH):
        members, own = blocks.member[places], blocks.is_core[places]
        found = _fit_groups(
            pixels, value, sources.take(members), first, core=core, spring=spring[members], correlation=correlation
        )
        peak[members[own]], variance[members[own]] = found[0][own], found[1][own]
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
    peak, variance = np.empty(len(sources)), np.empty(len(sources))
    for start in range(0, len(sources), BATCH):
        stop = min(start + BATCH, len(sources))
        some = sources.take(slice(start, stop))
        offsets, places = core_pixels(pixels.flat, pixels.nx, np.column_stack([some.x, some.y]), core)
        x, y = pixels.x[places], pixels.y[places]
        first = np.arange(stop - start + 1)
        first_neighbour = np.searchsorted(target, start + first)
        own = slice(first_neighbour[0], first_neighbour[-1])
        # Subtracting negative Gaussians adds the neighbours back.
        added = _negative(neighbours.take(own))
        restored = residuals(offsets, (x, y, value[places]), first_neighbour - first_neighbour[0], added)
        peak[start:stop], variance[start:stop] = fit_peaks(
            offsets, (x, y, restored), first, some.parameters, np.zeros(stop - start), correlation
        )
    return peak, variance


def _negative(sources: Gaussians) -> Array:
    """Return the (n, 6) parameters of sources with the opposite sign."""
    parameters = sources.parameters
    parameters[:, 0] *= -1
    return parameters
