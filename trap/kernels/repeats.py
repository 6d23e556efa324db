"""Pixels that repeat the values of their neighbours: the constant areas of an image, which hold no data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.kernels.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.typing import Indices, Map

__all__ = ["MIN_RUN", "blank_values", "count_repeats", "find_runs", "has_blank"]

INFINITY = np.float32(np.inf)
MIN_RUN = 3
"""Number of equal pixels in a row or a column that are a run: chance makes none in images of floats."""


@compiled
def count_repeats(pixels: Map) -> tuple[int, int, int]:
    """Count the pixels that begin a run of equal values, the pixels that are zero, and the infinite ones.

    Parameters
    ----------
    pixels
        (ny, nx) — pixels; NaN equals nothing.
    """
    ny, nx = pixels.shape
    n_runs, n_zeros, n_infinite = 0, 0, 0
    # The compiler vectorizes loops that count in 32 bits.
    for y in range(ny):
        row = pixels[y]
        zeros = infinite = runs = np.int32(0)
        for x in range(nx):
            zeros += np.int32(row[x] == 0)
            infinite += np.int32(np.abs(row[x]) == INFINITY)
        for x in range(nx - 2):
            runs += np.int32((row[x] == row[x + 1]) & (row[x] == row[x + 2]))
        if y + 2 < ny:
            second, third = pixels[y + 1], pixels[y + 2]
            for x in range(nx):
                runs += np.int32((row[x] == second[x]) & (row[x] == third[x]))
        n_runs, n_zeros, n_infinite = n_runs + int(runs), n_zeros + int(zeros), n_infinite + int(infinite)
    return n_runs, n_zeros, n_infinite


@compiled
def find_runs(pixels: Map) -> tuple[NDArray[np.float32], Indices]:
    """List the runs of equal pixels along rows and along columns.

    Parameters
    ----------
    pixels
        (ny, nx) — pixels; NaN equals nothing.

    Returns
    -------
    value, length
        (n,) each — value of each run, and its number of pixels.
    """
    values, lengths = np.empty(1024, np.float32), np.empty(1024, np.intp)
    n = 0
    ny, nx = pixels.shape
    down = np.ones(nx, np.intp)
    for y in range(ny):
        across = 1
        for x in range(nx):
            value = pixels[y, x]
            if n + 2 > values.size:
                values = np.append(values, np.empty(values.size, np.float32))
                lengths = np.append(lengths, np.empty(lengths.size, np.intp))
            if x + 1 < nx and pixels[y, x + 1] == value:
                across += 1
            else:
                if across >= MIN_RUN:
                    values[n], lengths[n] = value, across
                    n += 1
                across = 1
            if y + 1 < ny and pixels[y + 1, x] == value:
                down[x] += 1
            else:
                if down[x] >= MIN_RUN:
                    values[n], lengths[n] = value, down[x]
                    n += 1
                down[x] = 1
    return values[:n], lengths[:n]


@compiled
def blank_values(pixels: Map, values: NDArray[np.float32], run: int) -> None:
    """Replace runs of some values by NaN, in place.

    Parameters
    ----------
    pixels
        (ny, nx) — pixels; changed.
    values
        (n,) — the values.
    run
        Number of equal pixels along a row or a column from which they are replaced; 1 replaces all pixels of a value.
    """
    ny, nx = pixels.shape
    for value in values:
        if run <= 1:
            for y in range(ny):
                row = pixels[y]
                for x in range(nx):
                    row[x] = np.float32(np.nan) if row[x] == value else row[x]
            continue
        is_long = np.zeros((ny, nx), np.bool_)
        down = np.zeros(nx, np.intp)
        for y in range(ny):
            across = 0
            for x in range(nx):
                is_equal = pixels[y, x] == value
                across, down[x] = (across + 1, down[x] + 1) if is_equal else (0, 0)
                # The run so far is marked once it is long enough, then pixel by pixel.
                if across >= run:
                    is_long[y, x - across + 1 if across == run else x : x + 1] = True
                if down[x] >= run:
                    is_long[y - down[x] + 1 if down[x] == run else y : y + 1, x] = True
        for y in range(ny):
            for x in range(nx):
                if is_long[y, x]:
                    pixels[y, x] = np.nan


@compiled
def has_blank(pixels: Map, size: int) -> NDArray[np.bool_]:
    """Return which square blocks of an image hold a pixel without a value.

    Parameters
    ----------
    pixels
        (ny, nx) — pixels.
    size
        pix — side of a block; the last blocks of rows and columns may be smaller.

    Returns
    -------
    (⌈ny / size⌉, ⌈nx / size⌉)
    """
    ny, nx = pixels.shape
    blocks = np.zeros(((ny + size - 1) // size, (nx + size - 1) // size), np.bool_)
    for y in range(ny):
        row, marked = pixels[y], blocks[y // size]
        n = 0
        # Most rows are complete: the compiler vectorizes this loop.
        for x in range(nx):
            n += np.isnan(row[x])
        if n:
            for x in range(nx):
                if np.isnan(row[x]):
                    marked[x // size] = True
    return blocks
