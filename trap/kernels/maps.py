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

__all__ = ["interpolate_mesh", "range_of", "search_mask", "significance_map", "subtract_mesh"]


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
def interpolate_mesh(
    mesh: Map,
    columns: tuple[Indices, Indices, NDArray[np.float32]],
    rows: tuple[Indices, Indices, NDArray[np.float32]],
) -> Map:
    """Bilinear values of a mesh on every pixel.

    Parameters
    ----------
    mesh
        (my, mx)
    columns, rows
        (nx,) and (ny,) each — for each column and row the cell before, the one after, and the share of the latter.

    Returns
    -------
    (ny, nx)
    """
    result = np.empty((rows[0].size, columns[0].size), np.float32)
    for y in range(rows[0].size):
        _fill_row(result[y], mesh, columns, mesh[rows[0][y]], mesh[rows[1][y]], rows[2][y])
    return result


@compiled
def subtract_mesh(
    data: Map,
    mesh: Map,
    columns: tuple[Indices, Indices, NDArray[np.float32]],
    rows: tuple[Indices, Indices, NDArray[np.float32]],
) -> Map:
    """(ny, nx) — the data less the bilinear values of a mesh; see :func:`interpolate_mesh`."""
    result = np.empty(data.shape, np.float32)
    for y in range(data.shape[0]):
        _fill_row(result[y], mesh, columns, mesh[rows[0][y]], mesh[rows[1][y]], rows[2][y])
        for x in range(data.shape[1]):
            result[y, x] = data[y, x] - result[y, x]
    return result


@compiled
def significance_map(value: Map, rms: Map, mask: NDArray[np.bool_]) -> Map:
    """(ny, nx) — value over noise; minus infinity where masked, or where there is no noise to compare with."""
    result = np.empty(value.shape, np.float32)
    for y in range(value.shape[0]):
        for x in range(value.shape[1]):
            ratio = value[y, x] / rms[y, x]
            result[y, x] = -np.inf if mask[y, x] or np.isnan(ratio) else ratio
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


@compiled
def _fill_row(
    result: NDArray[np.float32],
    mesh: Map,
    columns: tuple[Indices, Indices, NDArray[np.float32]],
    lower: NDArray[np.float32],
    upper: NDArray[np.float32],
    share: float,
) -> None:
    line = np.empty(mesh.shape[1], np.float32)
    for k in range(line.size):
        line[k] = lower[k] + np.float32(share) * (upper[k] - lower[k])
    before, after, share_x = columns
    for x in range(result.size):
        result[x] = line[before[x]] + share_x[x] * (line[after[x]] - line[before[x]])
