"""Islands: lists of connected pixels, and what lies around each list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.kernels.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Indices = NDArray[np.intp]

__all__ = ["AT_EDGE", "AT_GAP", "fit_footprints", "list_islands", "touching"]

AT_EDGE, AT_GAP = 1, 2
"""Bits of :func:`touching`."""


@compiled
def list_islands(significance: NDArray[np.float32], analysis: float, detection: float) -> tuple[Indices, Indices]:
    """List the pixels of connected regions at or above one threshold that somewhere reach another.

    Pixels that touch at a corner are connected. Works on runs of such pixels within a row, each joined to
    those of the row before that it touches.

    Parameters
    ----------
    significance
        (ny, nx) — NaN nowhere.

    Returns
    -------
    offsets, flat
        (n + 1,) and (n_pixels,) — where each island starts, and the indices y·nx + x; islands in the order of
        their first pixels, pixels in that of the image.
    """
    nx = significance.shape[1]
    runs = _runs(significance, analysis, detection)
    parent, n_runs = np.arange(runs.shape[0]), runs.shape[0]
    above, end_above = 0, 0  # runs of the row before
    start = 0
    while start < n_runs:
        row, end = runs[start, 0], start
        while end < n_runs and runs[end, 0] == row:
            end += 1
        if above < end_above and runs[above, 0] == row - 1:
            _join_rows(runs, parent, above, end_above, end)
        above, end_above, start = start, end, end
    # Every root is the first run of its island, so islands are met in the order of their first pixels.
    sizes, is_kept = np.zeros(n_runs, np.intp), np.zeros(n_runs, np.bool_)
    for k in range(n_runs):
        root = _root(parent, k)
        sizes[root] += runs[k, 2] - runs[k, 1]
        is_kept[root] |= runs[k, 3] > 0
    offsets, place = np.zeros(is_kept.sum() + 1, np.intp), np.zeros(n_runs, np.intp)
    n = 0
    for k in range(n_runs):
        if is_kept[k]:
            place[k] = offsets[n]
            offsets[n + 1] = offsets[n] + sizes[k]
            n += 1
    flat = np.empty(offsets[-1], np.intp)
    for k in range(n_runs):
        root = _root(parent, k)
        if is_kept[root]:
            for x in range(runs[k, 1], runs[k, 2]):
                flat[place[root]] = runs[k, 0] * nx + x
                place[root] += 1
    return offsets, flat


@compiled
def _runs(significance: NDArray[np.float32], analysis: float, detection: float) -> NDArray[np.int32]:
    """(n, 4) — row, first column, one past the last, and whether the detection threshold is reached."""
    ny, nx = significance.shape
    low, high = np.float32(analysis), np.float32(detection)
    runs, n = np.empty((1024, 4), np.int32), 0
    for y in range(ny):
        row = significance[y]
        x = 0
        while x < nx:
            if row[x] < low:
                x += 1
                continue
            if n == runs.shape[0]:
                runs = np.concatenate((runs, np.empty_like(runs)))
            runs[n, 0], runs[n, 1], runs[n, 3] = y, x, 0
            while x < nx and row[x] >= low:
                if row[x] >= high:
                    runs[n, 3] = 1
                x += 1
            runs[n, 2] = x
            n += 1
    return runs[:n]


@compiled
def _join_rows(runs: NDArray[np.int32], parent: Indices, above: int, start: int, end: int) -> None:
    """Join the runs of one row, ``start`` to ``end``, with those before them, from ``above``, that they touch."""
    one, other = above, start
    while one < start and other < end:
        if runs[one, 1] <= runs[other, 2] and runs[other, 1] <= runs[one, 2]:
            first, second = _root(parent, one), _root(parent, other)
            parent[max(first, second)] = min(first, second)
        if runs[one, 2] < runs[other, 2]:
            one += 1
        else:
            other += 1


@compiled
def _root(parent: Indices, start: int) -> int:
    while parent[start] != start:
        parent[start] = parent[parent[start]]
        start = parent[start]
    return start


@compiled
def touching(
    offsets: Indices, x: Indices, y: Indices, mask: NDArray[np.bool_], data: NDArray[np.float32]
) -> NDArray[np.int32]:
    """(n,) — whether islands touch the edge of the searched area, or a pixel without a value: bits."""
    ny, nx = mask.shape
    bits = np.zeros(offsets.size - 1, np.int32)
    for i in range(offsets.size - 1):
        for pixel in range(offsets[i], offsets[i + 1]):
            for row in range(y[pixel] - 1, y[pixel] + 2):
                for column in range(x[pixel] - 1, x[pixel] + 2):
                    if row < 0 or row >= ny or column < 0 or column >= nx:
                        bits[i] |= AT_EDGE
                    elif not np.isfinite(data[row, column]):
                        bits[i] |= AT_GAP
                    elif mask[row, column]:
                        bits[i] |= AT_EDGE
    return bits


@compiled
def fit_footprints(
    islands: tuple[Indices, Indices, Indices],
    mask: NDArray[np.bool_],
    first: Indices,
    centres: Array,
    form: Array,
    keeps_island: NDArray[np.bool_],
) -> tuple[Indices, Indices]:
    """Choose the pixels that each island is fitted to: those near its components, and perhaps all of its own.

    Parameters
    ----------
    islands
        offsets, x, y.
    mask
        (ny, nx) — pixels never chosen.
    first
        (n_islands + 1,) — components of island i are ``first[i]`` to ``first[i + 1]``.
    centres
        (n_components, 2) pix — x and y.
    form
        (3,) — (a, b, c): pixels with a u² + 2 b u v + c v² ≤ 1 about a centre are near it.
    keeps_island
        (n_islands,) — whether all pixels of the island are taken too.

    Returns
    -------
    offsets, flat
        As of :func:`list_islands`; no pixel is another island's own.
    """
    offsets, x, y = islands
    ny, nx = mask.shape
    n_islands = offsets.size - 1
    owner_is_other = np.zeros((ny, nx), np.bool_)
    for pixel in range(x.size):
        owner_is_other[y[pixel], x[pixel]] = True
    determinant = form[0] * form[2] - form[1] ** 2
    reach_x, reach_y = np.sqrt(form[2] / determinant), np.sqrt(form[0] / determinant)
    new_offsets = np.zeros(n_islands + 1, np.intp)
    flat = np.empty(max(2 * x.size, 1024), np.intp)
    n = 0
    for i in range(n_islands):
        own = range(offsets[i], offsets[i + 1])
        left, right, low, high = nx, -1, ny, -1
        for k in range(first[i], first[i + 1]):
            left = max(min(left, int(np.ceil(centres[k, 0] - reach_x))), 0)
            right = min(max(right, int(np.floor(centres[k, 0] + reach_x))), nx - 1)
            low = max(min(low, int(np.ceil(centres[k, 1] - reach_y))), 0)
            high = min(max(high, int(np.floor(centres[k, 1] + reach_y))), ny - 1)
        for pixel in own:
            owner_is_other[y[pixel], x[pixel]] = False
            if keeps_island[i]:
                left, right = min(left, x[pixel]), max(right, x[pixel])
                low, high = min(low, y[pixel]), max(high, y[pixel])
        box = np.zeros((max(high - low + 1, 0), max(right - left + 1, 0)), np.bool_)
        if keeps_island[i]:
            for pixel in own:
                box[y[pixel] - low, x[pixel] - left] = True
        for k in range(first[i], first[i + 1]):
            _mark_ellipse(box, left, low, centres[k], form, reach_y)
        if n + box.size > flat.size:
            flat = np.concatenate((flat, np.empty(flat.size + box.size, np.intp)))
        for row in range(box.shape[0]):
            for column in range(box.shape[1]):
                py, px = low + row, left + column
                if box[row, column] and not mask[py, px] and not owner_is_other[py, px]:
                    flat[n] = py * nx + px
                    n += 1
        for pixel in own:
            owner_is_other[y[pixel], x[pixel]] = True
        new_offsets[i + 1] = n
    return new_offsets, flat[:n].copy()


@compiled
def _mark_ellipse(box: NDArray[np.bool_], left: int, low: int, centre: Array, form: Array, reach_y: float) -> None:
    """Set what lies within an ellipse about a centre, in a box whose first pixel is (left, low)."""
    first = max(int(np.ceil(centre[1] - reach_y)) - low, 0)
    last = min(int(np.floor(centre[1] + reach_y)) - low, box.shape[0] - 1)
    for row in range(first, last + 1):
        v = row + low - centre[1]
        for column in range(box.shape[1]):
            u = column + left - centre[0]
            if form[0] * u * u + 2 * form[1] * u * v + form[2] * v * v <= 1:
                box[row, column] = True
