"""Whole images, a row at a time: which pixels are searched, and how far each stands above its noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.kernels.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Indices = NDArray[np.intp]
    Map = NDArray[np.float32]

NOTHING = np.float32(-np.inf)

__all__ = ["interpolate_rows", "range_of", "search_mask", "significance_map", "subtract_rows"]


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
def subtract_rows(data: Map, lines: Map, before: Indices, after: Indices, share: NDArray[np.float32]) -> Map:
    """(ny, nx) — the data less :func:`interpolate_rows`."""
    result = np.empty(data.shape, np.float32)
    for y in range(before.size):
        one, other, weight = lines[before[y]], lines[after[y]], share[y]
        for x in range(lines.shape[1]):
            result[y, x] = data[y, x] - (one[x] + weight * (other[x] - one[x]))
    return result


@compiled
def significance_map(value: Map, rms: Map, mask: NDArray[np.bool_]) -> Map:
    """(ny, nx) — value over noise; minus infinity where masked, or where there is no noise to compare with."""
    result = np.empty(value.shape, np.float32)
    for y in range(value.shape[0]):
        for x in range(value.shape[1]):
            ratio = value[y, x] / rms[y, x]
            result[y, x] = NOTHING if mask[y, x] | (ratio != ratio) else ratio  # noqa: PLR0124 (a vectorised isnan)
    return result


@compiled
def range_of(value: Map, mask: NDArray[np.bool_]) -> tuple[float, float]:
    """Lowest and highest value that is not masked; NaN where there is none."""
    low, high = np.inf, -np.inf
    for y in range(value.shape[0]):
        for x in range(value.shape[1]):
            if not mask[y, x]:
                low, high = min(low, value[y, x]), max(high, value[y, x])
    return (low, high) if low <= high else (np.nan, np.nan)
