"""Areas of an image without data: pixels that repeat the values of their neighbours, and pixels without a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.kernels.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.typing import Indices, Map

__all__ = ["MIN_RUN", "blank_values", "count_before", "count_repeats", "find_runs", "has_blank"]

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
    down, ends = np.ones(nx, np.int32), np.zeros(nx, np.bool_)
    for y in range(ny):
        if n + 2 * nx > values.size:
            values = np.append(values, np.empty(values.size + 2 * nx, np.float32))
            lengths = np.append(lengths, np.empty(lengths.size + 2 * nx, np.intp))
        row, following = pixels[y], pixels[min(y + 1, ny - 1)]
        is_last = y == ny - 1
        # The first two loops are vectorized by the compiler; in most rows no run ends.
        n_ends = np.int32(0)
        for x in range(nx):
            is_end = (row[x] != following[x]) | is_last
            ends[x] = is_end & (down[x] >= MIN_RUN)
            n_ends += np.int32(ends[x])
        if n_ends:
            for x in range(nx):
                if ends[x]:
                    values[n], lengths[n] = row[x], down[x]
                    n += 1
        for x in range(nx):
            down[x] = 1 if row[x] != following[x] else down[x] + 1
        n_starts = np.int32(0)
        for x in range(nx - 2):
            n_starts += np.int32((row[x] == row[x + 1]) & (row[x] == row[x + 2]))
        first = 0
        while n_starts and first < nx:
            last = first
            while last + 1 < nx and row[last + 1] == row[first]:
                last += 1
            if last - first + 1 >= MIN_RUN:
                values[n], lengths[n] = row[first], last - first + 1
                n += 1
            first = last + 1
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
    in_column = np.zeros(nx, np.bool_)
    for block in range(blocks.shape[0]):
        in_column[:] = False
        for y in range(block * size, min((block + 1) * size, ny)):
            row = pixels[y]
            n = np.int32(0)
            for x in range(nx):
                n += np.int32(np.isnan(row[x]))
            if n:
                for x in range(nx):
                    in_column[x] |= np.isnan(row[x])
        for x in range(nx):
            blocks[block, x // size] |= in_column[x]
    return blocks


@compiled
def count_before(blocks: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Count the marked blocks in all rows and columns before each block.

    Parameters
    ----------
    blocks
        (n_y, n_x) — True for marked blocks.

    Returns
    -------
    (n_y + 1, n_x + 1)
        The number in a rectangle follows from the values at its corners.
    """
    n_y, n_x = blocks.shape
    total = np.zeros((n_y + 1, n_x + 1), np.int32)
    for y in range(n_y):
        in_row = 0
        for x in range(n_x):
            in_row += blocks[y, x]
            total[y + 1, x + 1] = total[y, x + 1] + in_row
    return total
