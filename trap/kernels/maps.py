"""Whole images, row by row: the mask of the searched area, and the pixels above thresholds.

Level and noise are interpolated on the fly, so that no map of them has to be held in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.kernels.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.typing import Array, Indices, Map


__all__ = ["IN_ISLAND", "IN_PEAK", "interpolate_rows", "pixels_at", "search_mask", "significances", "threshold_classes"]

IN_ISLAND, IN_PEAK = 1, 2
"""Classes of pixels in :func:`threshold_classes`: at or above the lower threshold only, and at or above both."""
INFINITY = np.float32(np.inf)
NO_BITS, INFINITY_BITS, MAX_BITS = np.int32(-1), np.int32(0x7F800000), np.int32(0x7FFFFFFF)
"""Bits of 32-bit floats, as integers: less than any positive number, infinity (NaN is above), and the largest."""


@compiled
def search_mask(data: Map, margin: int, radius: float) -> NDArray[np.bool_]:
    """Mask the pixels that are not searched.

    Parameters
    ----------
    data
        (ny, nx) — pixels; pixels without a finite value are masked.
    margin
        pix — width of the strip along all edges that is masked.
    radius
        pix — radius of the circle about the middle of the image; pixels on it or outside it are masked. 0 means no
        circle.

    Returns
    -------
    (ny, nx)
        True for masked pixels.
    """
    ny, nx = data.shape
    mask = np.ones((ny, nx), np.bool_)
    for y in range(margin, ny - margin):
        first, last = margin, nx - 1 - margin
        if radius > 0:
            chord = radius**2 - (y - (ny - 1) / 2) ** 2
            # First and last pixel of the chord, up to rounding; the loops below test these two exactly.
            reach = np.sqrt(max(chord, 0.0))
            first = max(first, int(np.floor((nx - 1) / 2 - reach)))
            last = min(last, int(np.ceil((nx - 1) / 2 + reach)))
            while first <= last and (first - (nx - 1) / 2) ** 2 >= chord:
                first += 1
            while last >= first and (last - (nx - 1) / 2) ** 2 >= chord:
                last -= 1
        # Loops over whole arrays are vectorized by the compiler.
        values, is_masked = data[y, first : last + 1], mask[y, first : last + 1]
        for x in range(values.size):
            is_masked[x] = not np.abs(values[x]) < INFINITY
    return mask


@compiled
def interpolate_rows(lines: Map, before: Indices, after: Indices, share: NDArray[np.float32]) -> Map:
    """Interpolate each row of an image between two lines of a mesh.

    Parameters
    ----------
    lines
        (my, nx) — values on the lines.
    before, after
        (ny,) — the two lines of each row.
    share
        (ny,) — weight of the second line, 0 to 1.

    Returns
    -------
    (ny, nx)
        Interpolated values.
    """
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
    """Compare each pixel, after subtraction of the level, with its noise.

    Parameters
    ----------
    data, mask
        (ny, nx) — pixels in Jy/beam, and True for masked pixels.
    lines
        (my, nx) each — level and noise on the lines of a mesh.
    rows
        (ny,) each — the two lines of each row and the weight of the second, see :func:`interpolate_rows`.
    thresholds
        Lower and upper threshold, in units of the noise; both inclusive.

    Returns
    -------
    classes
        (ny, nx) — ``IN_ISLAND`` or ``IN_PEAK``; 0 for pixels that are below both thresholds, masked, or without noise.
    lowest, highest
        Jy/beam — noise of the pixels that are not masked; NaN if all are masked.
    """
    (levels, noises), (before, after, share), (lower, upper) = lines, rows, thresholds
    ny, nx = data.shape
    classes = np.empty((ny, nx), np.uint8)
    rms = np.empty(nx, np.float32)
    # Floats without a sign have the same order as their bits, with NaN last. Unlike minima of floats, minima of
    # integers are vectorized by the compiler.
    bits = rms.view(np.int32)
    lowest, highest = MAX_BITS, NO_BITS
    for y in range(ny):
        level, next_level = levels[before[y]], levels[after[y]]
        noise, next_noise = noises[before[y]], noises[after[y]]
        weight, values, is_masked, row_classes = share[y], data[y], mask[y], classes[y]
        for x in range(nx):
            sigma = noise[x] + weight * (next_noise[x] - noise[x])
            ratio = (values[x] - (level[x] + weight * (next_level[x] - level[x]))) / sigma
            # Noise is not negative, but NaN may have a sign (inf - inf has one on x86).
            rms[x] = np.abs(sigma)
            row_classes[x] = (np.uint8(ratio >= lower) + np.uint8(ratio >= upper)) * np.uint8(not is_masked[x])
        for x in range(nx):
            searched = MAX_BITS if is_masked[x] else bits[x]
            lowest = min(lowest, searched)
            highest = max(highest, searched if searched <= INFINITY_BITS else NO_BITS)
    if highest == NO_BITS:
        return classes, np.nan, np.nan
    limits = np.array([lowest, highest], np.int32).view(np.float32)
    return classes, float(limits[0]), float(limits[1])


@compiled
def significances(
    data: Map, mask: NDArray[np.bool_], lines: tuple[Map, Map], rows: tuple[Indices, Indices, NDArray[np.float32]]
) -> Map:
    """Divide each pixel, after subtraction of the level, by its noise, as in :func:`threshold_classes`.

    Parameters
    ----------
    data, mask
        (ny, nx) — pixels in Jy/beam, and True for masked pixels.
    lines
        (my, nx) each — level and noise on the lines of a mesh, at the columns of these pixels.
    rows
        (ny,) each — the two lines of each row and the weight of the second.

    Returns
    -------
    (ny, nx)
        Minus infinity for masked pixels and for pixels without noise.
    """
    (levels, noises), (before, after, share) = lines, rows
    result = np.empty(data.shape, np.float32)
    for y in range(data.shape[0]):
        level, next_level = levels[before[y]], levels[after[y]]
        noise, next_noise = noises[before[y]], noises[after[y]]
        weight, values, is_masked, ratios = share[y], data[y], mask[y], result[y]
        for x in range(values.size):
            rms = noise[x] + weight * (next_noise[x] - noise[x])
            ratio = (values[x] - (level[x] + weight * (next_level[x] - level[x]))) / rms
            ratios[x] = -INFINITY if is_masked[x] or np.isnan(ratio) else ratio
    return result


@compiled
def pixels_at(
    data: Map,
    flat: Indices,
    lines: tuple[Map, Map],
    rows: tuple[Indices, Indices, NDArray[np.float32]],
) -> tuple[Array, Array]:
    """Compute background-subtracted values and noise of single pixels.

    The arithmetic is the same as in :func:`threshold_classes`, to the last bit.

    Parameters
    ----------
    data
        (ny, nx) Jy/beam
    flat
        (n,) — indices y·nx + x.
    lines
        (my, nx) each — level and noise on the lines of a mesh.
    rows
        (ny,) each — the two lines of each row and the weight of the second, see :func:`interpolate_rows`.

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
