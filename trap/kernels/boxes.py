"""Square boxes of pixels around many positions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.kernels.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.typing import Array, Indices


__all__ = ["pixels_of_boxes", "sums_of_boxes"]


@compiled
def pixels_of_boxes(
    has_value: NDArray[np.bool_], outside: NDArray[np.bool_], centres: tuple[Indices, Indices], half: int
) -> tuple[NDArray[np.bool_], Indices, Indices, Indices]:
    """Mark the pixels of boxes, and count the pixels of each.

    Parameters
    ----------
    has_value, outside
        (ny, nx) each — whether a pixel has a value, and whether it is outside the searched area.
    centres
        (n,) each — columns and rows of the central pixels; a negative column marks an empty box.
    half
        pix — a box has 2 · half + 1 pixels along each side, fewer at the edges of the image.

    Returns
    -------
    is_in_box
        (ny, nx) — whether a pixel is in a box.
    n_pixels, n_outside, n_gaps
        (n,) each — number of all pixels of each box, of those outside, and of pixels inside without a value.
    """
    (ny, nx), (columns, rows) = has_value.shape, centres
    is_in_box = np.zeros((ny, nx), np.bool_)
    counts = np.zeros((3, columns.size), np.intp)
    for i in range(columns.size):
        if columns[i] < 0:
            continue
        for y in range(max(rows[i] - half, 0), min(rows[i] + half + 1, ny)):
            for x in range(max(columns[i] - half, 0), min(columns[i] + half + 1, nx)):
                is_in_box[y, x] = True
                counts[0, i] += 1
                counts[1, i] += outside[y, x]
                counts[2, i] += not (has_value[y, x] or outside[y, x])
    return is_in_box, counts[0], counts[1], counts[2]


@compiled
def sums_of_boxes(
    flat: Indices, nx: int, centres: tuple[Indices, Indices], half: int, value: Array
) -> tuple[Array, Indices]:
    """Sum values over square boxes of pixels.

    Parameters
    ----------
    flat
        (n_pixels,) — indices y·nx + x of the available pixels, increasing.
    nx
        Number of columns of the image.
    centres
        (n,) each — columns and rows of the central pixels; a negative column marks an empty box.
    half
        pix — a box has 2 · half + 1 pixels along each side.
    value
        (n_pixels,) — value of each available pixel.

    Returns
    -------
    sums, n_pixels
        (n,) each — sum of the values, and number of the available pixels, in each box.
    """
    columns, rows = centres
    sums, n_pixels = np.zeros(columns.size), np.zeros(columns.size, np.intp)
    for i in range(columns.size):
        if columns[i] < 0:
            continue
        for row in range(rows[i] - half, rows[i] + half + 1):
            k = np.searchsorted(flat, row * nx + max(columns[i] - half, 0))
            while k < flat.size and flat[k] <= row * nx + min(columns[i] + half, nx - 1):
                sums[i] += value[k]
                n_pixels[i] += 1
                k += 1
    return sums, n_pixels
