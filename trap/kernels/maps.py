"""Whole images, a row at a time: which pixels are searched, and which stand above their noise.

Level and noise are interpolated on the way, so that no map of either has to be held in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.kernels.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.typing import Array, Indices, Map


__all__ = ["IN_ISLAND", "IN_PEAK", "interpolate_rows", "pixels_at", "search_mask", "threshold_classes"]

IN_ISLAND, IN_PEAK = 1, 2
"""Values of :func:`threshold_classes`: at or above the lower threshold, or even the upper one."""


@compiled
def search_mask(data: Map, margin: int, radius: float) -> NDArray[np.bool_]:
    """(ny, nx) — True where a pixel lies in the margin, on or outside the circle (radius 0: none), or has no value."""
    ny, nx = data.shape
    mask = np.ones((ny, nx), np.bool_)
    for y in range(margin, ny - margin):
        first, last = margin, nx - 1 - margin
        if radius > 0:
            chord = radius**2 - (y - (ny - 1) / 2) ** 2
            # Between the ends, which are outside themselves, within rounding: those two are tested one by one.
            reach = np.sqrt(max(chord, 0.0))
            first = max(first, int(np.floor((nx - 1) / 2 - reach)))
            last = min(last, int(np.ceil((nx - 1) / 2 + reach)))
            while first <= last and (first - (nx - 1) / 2) ** 2 >= chord:
                first += 1
            while last >= first and (last - (nx - 1) / 2) ** 2 >= chord:
                last -= 1
        for x in range(first, last + 1):
            mask[y, x] = not np.isfinite(data[y, x])
    return mask


@compiled
def interpolate_rows(lines: Map, before: Indices, after: Indices, share: NDArray[np.float32]) -> Map:
    """(ny, nx) — for each row of an image the mean of two of the (my, nx) lines, with the share of the second."""
    result = np.empty((before.size, lines.shape[1]), np.float32)
    for y in range(before.size):
        one, other, weight = lines[before[y]], lines[after[y]], share[y]
        for x in range(lines.shape[1]):
            result[y, x] = one[x] + weight * (other[x] - one[x])
    return result


@compiled
def threshold_classes(
    data: Map,
    mask: NDArray[np.bool_],
    lines: tuple[Map, Map],
    rows: tuple[Indices, Indices, NDArray[np.float32]],
    thresholds: tuple[np.float32, np.float32],
) -> tuple[NDArray[np.uint8], float, float]:
    """Compare each pixel, less the level of the sky, with its noise.

    Parameters
    ----------
    data, mask
        (ny, nx) Jy/beam, and True where a pixel is not looked at.
    lines, rows
        Level and noise as lines of a mesh, and for each row the two lines and the share of the second, as of
        :func:`interpolate_rows`.
    thresholds
        Lower and upper one, in units of the noise; both inclusive.

    Returns
    -------
    classes
        (ny, nx) — ``IN_ISLAND``, ``IN_PEAK``, or 0: below, masked, or without a noise to compare with.
    lowest, highest
        Noise of what is not masked; NaN where there is none.
    """
    (levels, noises), (before, after, share), (lower, upper) = lines, rows, thresholds
    ny, nx = data.shape
    classes = np.empty((ny, nx), np.uint8)
    lowest, highest = np.float32(np.inf), np.float32(-np.inf)
    for y in range(ny):
        level, next_level = levels[before[y]], levels[after[y]]
        noise, next_noise = noises[before[y]], noises[after[y]]
        weight = share[y]
        for x in range(nx):
            rms = noise[x] + weight * (next_noise[x] - noise[x])
            ratio = (data[y, x] - (level[x] + weight * (next_level[x] - level[x]))) / rms
            is_seen = not mask[y, x]
            classes[y, x] = np.uint8(is_seen & (ratio >= lower)) + np.uint8(is_seen & (ratio >= upper))
            lowest = min(lowest, rms if is_seen else lowest)
            highest = max(highest, rms if is_seen else highest)
    return (classes, float(lowest), float(highest)) if lowest <= highest else (classes, np.nan, np.nan)


@compiled
def pixels_at(
    data: Map,
    flat: Indices,
    lines: tuple[Map, Map],
    rows: tuple[Indices, Indices, NDArray[np.float32]],
) -> tuple[Array, Array]:
    """Values less the level of the sky, and noise, of single pixels; the same numbers as in :func:`threshold_classes`.

    Parameters
    ----------
    flat
        (n,) — indices y·nx + x.

    Returns
    -------
    value, rms
        (n,) Jy/beam
    """
    (levels, noises), (before, after, share) = lines, rows
    nx = data.shape[1]
    value, rms = np.empty(flat.size), np.empty(flat.size)
    for i in range(flat.size):
        y = flat[i] // nx
        x = flat[i] - y * nx
        level, noise, weight = levels[before[y], x], noises[before[y], x], share[y]
        value[i] = data[y, x] - (level + weight * (levels[after[y], x] - level))
        rms[i] = noise + weight * (noises[after[y], x] - noise)
    return value, rms
