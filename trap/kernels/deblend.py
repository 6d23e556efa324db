"""Deblending of islands by a flood: as the water falls, basins meet at saddles, and are joined or kept apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.kernels.compiled import compiled
from trap.kernels.unions import find_root

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.typing import Array, Indices


__all__ = ["part_islands"]


@compiled
def part_islands(
    islands: tuple[Indices, Indices, Indices, Array, Array], threshold: float, min_rise: float, min_share: float
) -> tuple[Indices, Indices]:
    """Part the islands that hold several sources.

    Parameters
    ----------
    islands
        (n_islands + 1,), then (n_pixels,) each — offsets, x, y, value and rms. The pixels of an island are in the order
        of the image.
    threshold
        σ — height that both peaks must reach.
    min_rise
        σ — height above the saddle between them that both peaks must have.
    min_share
        Share of the island's flux that the pixels above the saddle must hold, for each of the two peaks.

    Returns
    -------
    component
        (n_pixels,) — number of the component within its island, from 0. The brightest peak comes first.
    counts
        (n_islands,) — number of components of each island.
    """
    offsets, x, y, value, rms = islands
    component, counts = np.zeros(x.size, np.intp), np.ones(offsets.size - 1, np.intp)
    for i in range(offsets.size - 1):
        own = slice(offsets[i], offsets[i + 1])
        box = _places(x[own], y[own])
        if _count_peaks(x[own], y[own], value[own], rms[own], box, threshold) > 1:
            limits = (threshold, min_rise, min_share * value[own].sum())
            counts[i] = _flood(value[own], rms[own], _neighbours(x[own], y[own], box), limits, component[own])
    return component, counts


@compiled
def _places(x: Indices, y: Indices) -> tuple[int, int, NDArray[np.int32]]:
    """Return the first column and row of the box around an island, and the places of the box's pixels in its list.

    The box has a frame of one pixel. -1 marks pixels that are not of the island.
    """
    # Pixels are in the order of the image, so the first and the last one have the limits of y.
    left, right, low, high = x[0], x[0], y[0], y[-1]
    for i in range(x.size):
        left, right = min(left, x[i]), max(right, x[i])
    place = np.full((high - low + 3, right - left + 3), -1, np.int32)
    for i in range(x.size):
        place[y[i] - low + 1, x[i] - left + 1] = i
    return left, low, place


@compiled
def _neighbours(x: Indices, y: Indices, box: tuple[int, int, NDArray[np.int32]]) -> NDArray[np.int32]:
    """List the places of the eight neighbours of each pixel, row by row: (n, 8); -1 if they are not of the island."""
    left, low, place = box
    result = np.empty((x.size, 8), np.int32)
    for i in range(x.size):
        row, column, k = y[i] - low + 1, x[i] - left + 1, 0
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                if dy or dx:
                    result[i, k] = place[row + dy, column + dx]
                    k += 1
    return result


@compiled
def _count_peaks(
    x: Indices, y: Indices, value: Array, rms: Array, box: tuple[int, int, NDArray[np.int32]], threshold: float
) -> int:
    """Count the local maxima that reach the threshold; the first of equal neighbours counts."""
    left, low, place = box
    n_peaks = 0
    for i in range(value.size):
        if value[i] < threshold * rms[i]:
            continue
        row, column, is_peak = y[i] - low + 1, x[i] - left + 1, True
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                other = place[row + dy, column + dx]
                if other >= 0 and other != i:
                    is_peak &= value[i] > value[other] or (value[i] == value[other] and other > i)
        n_peaks += is_peak
    return n_peaks


@compiled
def _flood(
    value: Array,
    rms: Array,
    neighbours: NDArray[np.int32],
    limits: tuple[float, float, float],
    component: Indices,
) -> int:
    """Assign numbers to the components of one island, and return their number.

    A basin is a peak with the pixels that belong to it. A lake is a set of basins that have met. The index of a
    basin is its first pixel, and the arrays below are defined at these indices only.
    """
    n = value.size
    # Two forests of sets: basins absorbed by other basins, and basins that share a lake.
    absorbed, lake = np.full(n, -1, np.intp), np.arange(n)
    n_in_lake = np.ones(n, np.intp)
    peak, noise, flux = value.copy(), rms.copy(), np.zeros(n)
    basin_of = np.full(n, -1, np.intp)
    # The sort is stable: equal pixels are flooded in the order of the image.
    for pixel in np.argsort(-value, kind="mergesort"):
        first, highest = -1, -1
        for k in range(8):
            other = neighbours[pixel, k]
            if other < 0 or basin_of[other] < 0:
                continue
            if first < 0:
                first = highest = other
                continue
            one, two = find_root(absorbed, basin_of[first]), find_root(absorbed, basin_of[other])
            _meet(one, two, value[pixel], limits, (absorbed, lake, n_in_lake), (peak, noise, flux))
            if value[other] > value[highest]:
                highest = other
        if first < 0:
            absorbed[pixel] = pixel
            basin_of[pixel] = pixel
        else:
            basin_of[pixel] = find_root(absorbed, basin_of[highest])
        flux[basin_of[pixel]] += value[pixel]
    return _number(absorbed, basin_of, peak, component)


@compiled
def _meet(
    one: int,
    two: int,
    saddle: float,
    limits: tuple[float, float, float],
    trees: tuple[Indices, Indices, Indices],
    heights: tuple[Array, Array, Array],
) -> None:
    """Join the lakes of two basins. The basins stay apart only if both lakes are sources."""
    absorbed, lake, n_in_lake = trees
    lake_one, lake_two = find_root(lake, one), find_root(lake, two)
    if lake_one == lake_two:
        return
    is_source_two = n_in_lake[lake_two] > 1 or _is_source(two, saddle, limits, heights)
    is_source_one = n_in_lake[lake_one] > 1 or _is_source(one, saddle, limits, heights)
    if is_source_one and is_source_two:
        n_in_lake[lake_one] += n_in_lake[lake_two]
        lake[lake_two] = lake_one
        return
    # The basin that is no source is absorbed by the other one.
    weak, into = (one, two) if is_source_two else (two, one)
    peak, noise, flux = heights
    absorbed[weak] = into
    lake[weak] = find_root(lake, into)
    flux[into] += flux[weak]
    if peak[weak] > peak[into]:
        peak[into], noise[into] = peak[weak], noise[weak]


@compiled
def _is_source(
    basin: int, saddle: float, limits: tuple[float, float, float], heights: tuple[Array, Array, Array]
) -> bool:
    """Return whether a single basin is a source. The water is at the saddle, so all its flux so far lies above."""
    threshold, min_rise, min_flux = limits
    peak, noise, flux = heights[0][basin], heights[1][basin], heights[2][basin]
    return bool(peak >= threshold * noise and peak - saddle >= min_rise * noise and flux > min_flux)


@compiled
def _number(absorbed: Indices, basin_of: Indices, peak: Array, component: Indices) -> int:
    """Assign numbers to the remaining basins, the highest first, and to their pixels; return the number of basins."""
    number, n = np.full(absorbed.size, -1, np.intp), 0
    while True:
        highest = -1
        for i in range(absorbed.size):
            has_no_number = absorbed[i] == i and number[i] < 0
            if has_no_number and (highest < 0 or peak[i] > peak[highest]):
                highest = i
        if highest < 0:
            break
        number[highest] = n
        n += 1
    for pixel in range(basin_of.size):
        component[pixel] = number[find_root(absorbed, basin_of[pixel])]
    return n
