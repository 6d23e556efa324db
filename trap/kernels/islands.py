"""Islands, which are lists of connected pixels, and what lies around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.kernels.compiled import compiled
from trap.kernels.maps import IN_PEAK

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.typing import Array, Indices


__all__ = ["AT_EDGE", "AT_GAP", "connected_pixels", "fit_footprints", "touching"]

AT_EDGE, AT_GAP = 1, 2
"""Bits of :func:`touching`."""
NEAR, OWN = 1, 2
"""Bits of a pixel in :func:`fit_footprints`."""


@compiled
def connected_pixels(reached: NDArray[np.uint8]) -> tuple[Indices, Indices]:
    """List the pixels of those connected regions of which one reaches the upper threshold.

    Pixels that touch at a corner are connected. A row falls into runs of pixels; a run joins those of the row before
    that it touches (Rosenfeld & Pfaltz 1966, with the sets as trees), so that no image of labels is needed.

    Parameters
    ----------
    reached
        (ny, nx) — as of :func:`trap.kernels.maps.threshold_classes`: 0 outside regions.

    Returns
    -------
    offsets, flat
        (n + 1,) and (n_pixels,) — where each region starts, and the indices y·nx + x; regions in the order of
        their first pixels, pixels in that of the image.
    """
    runs, is_peak, parent = _runs(reached)
    n_runs = parent.size
    sizes, is_kept = np.zeros(n_runs, np.intp), np.zeros(n_runs, np.bool_)
    for run in range(n_runs):
        root = _root(parent, run)
        sizes[root] += runs[run, 1] - runs[run, 0]
        is_kept[root] |= is_peak[run]
    # A root is the first run of its region.
    start, offsets, n = np.zeros(n_runs, np.intp), np.zeros(n_runs + 1, np.intp), 0
    for run in range(n_runs):
        if parent[run] == run and is_kept[run]:
            start[run] = offsets[n]
            n += 1
            offsets[n] = offsets[n - 1] + sizes[run]
    flat = np.empty(offsets[n], np.intp)
    for run in range(n_runs):
        root = _root(parent, run)
        if is_kept[root]:
            for place in range(runs[run, 0], runs[run, 1]):
                flat[start[root]] = place
                start[root] += 1
    return offsets[: n + 1].copy(), flat


@compiled
def _runs(reached: NDArray[np.uint8]) -> tuple[Indices, NDArray[np.bool_], Indices]:
    """First index and one past the last of every run, whether it has a peak, and an earlier run of its region."""
    ny, nx = reached.shape
    runs, is_peak, parent = np.empty((1024, 2), np.intp), np.empty(1024, np.bool_), np.empty(1024, np.intp)
    n, above, row_start = 0, 0, 0
    for y in range(ny):
        # Runs of the row before are those from above to row_start.
        above, row_start, x = row_start, n, 0
        touched = above
        while x < nx:
            if not reached[y, x]:
                x += 1
                continue
            if n == parent.size:
                runs = np.concatenate((runs, np.empty_like(runs)))
                is_peak, parent = (
                    np.concatenate((is_peak, np.empty_like(is_peak))),
                    np.concatenate((parent, np.empty_like(parent))),
                )
            first = x
            is_peak[n], parent[n] = False, n
            while x < nx and reached[y, x]:
                is_peak[n] |= reached[y, x] == IN_PEAK
                x += 1
            runs[n, 0], runs[n, 1] = y * nx + first, y * nx + x
            # In the row above, from the corner before the first pixel to the corner after the last.
            left, right = (y - 1) * nx + max(first - 1, 0), (y - 1) * nx + min(x, nx - 1)
            while touched < row_start and runs[touched, 1] <= left:
                touched += 1
            other = touched
            while other < row_start and runs[other, 0] <= right:
                _join(parent, n, other)
                other += 1
            n += 1
    return runs[:n].copy(), is_peak[:n].copy(), parent[:n].copy()


@compiled
def _root(parent: Indices, run: int) -> int:
    """The first run of a region; on the way, runs are hung onto their grandparents."""
    while parent[run] != run:
        parent[run] = parent[parent[run]]
        run = parent[run]
    return run


@compiled
def _join(parent: Indices, one: int, other: int) -> None:
    first, second = _root(parent, one), _root(parent, other)
    parent[max(first, second)] = min(first, second)


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
    taken: NDArray[np.bool_],
    which: Indices,
    first: Indices,
    centres: Array,
    form: Array,
    keeps_island: bool,  # noqa: FBT001 (a kernel has no keywords)
) -> tuple[Indices, Indices]:
    """Choose the pixels that islands are fitted to: those near their components, and perhaps all of their own.

    Parameters
    ----------
    islands
        offsets, x, y.
    taken
        (ny, nx) — pixels that are masked, or of islands: those only their own island may have.
    which
        (n,) — numbers of the islands that are.
    first
        (n + 1,) — components of the i-th of these are ``first[i]`` to ``first[i + 1]``.
    centres
        (n_components, 2) pix — x and y.
    form
        (3,) — (a, b, c): pixels with a u² + 2 b u v + c v² ≤ 1 about a centre are near it.
    keeps_island
        Whether all pixels of an island are taken too.

    Returns
    -------
    offsets, flat
        As of :func:`connected_pixels`.
    """
    offsets, x, y = islands
    ny, nx = taken.shape
    determinant = form[0] * form[2] - form[1] ** 2
    reach_x, reach_y = np.sqrt(form[2] / determinant), np.sqrt(form[0] / determinant)
    new_offsets = np.zeros(which.size + 1, np.intp)
    flat = np.empty(max(2 * x.size, 1024), np.intp)
    n = 0
    for i in range(which.size):
        own = range(offsets[which[i]], offsets[which[i] + 1])
        left, right, low, high = nx, -1, ny, -1
        for k in range(first[i], first[i + 1]):
            left = max(min(left, int(np.ceil(centres[k, 0] - reach_x))), 0)
            right = min(max(right, int(np.floor(centres[k, 0] + reach_x))), nx - 1)
            low = max(min(low, int(np.ceil(centres[k, 1] - reach_y))), 0)
            high = min(max(high, int(np.floor(centres[k, 1] + reach_y))), ny - 1)
        if keeps_island:
            for pixel in own:
                left, right = min(left, x[pixel]), max(right, x[pixel])
                low, high = min(low, y[pixel]), max(high, y[pixel])
        box = np.zeros((max(high - low + 1, 0), max(right - left + 1, 0)), np.uint8)
        for pixel in own:
            if left <= x[pixel] <= right and low <= y[pixel] <= high:
                box[y[pixel] - low, x[pixel] - left] = OWN
        for k in range(first[i], first[i + 1]):
            _mark_ellipse(box, left, low, centres[k], form, reach_y)
        if n + box.size > flat.size:
            flat = np.concatenate((flat, np.empty(flat.size + box.size, np.intp)))
        for row in range(box.shape[0]):
            for column in range(box.shape[1]):
                marks = box[row, column]
                is_wanted = marks & NEAR or (keeps_island and marks)
                if is_wanted and (marks & OWN or not taken[low + row, left + column]):
                    flat[n] = (low + row) * nx + left + column
                    n += 1
        new_offsets[i + 1] = n
    return new_offsets, flat[:n].copy()


@compiled
def _mark_ellipse(box: NDArray[np.uint8], left: int, low: int, centre: Array, form: Array, reach_y: float) -> None:
    """Mark what lies within an ellipse about a centre, in a box whose first pixel is (left, low)."""
    first = max(int(np.ceil(centre[1] - reach_y)) - low, 0)
    last = min(int(np.floor(centre[1] + reach_y)) - low, box.shape[0] - 1)
    for row in range(first, last + 1):
        v = row + low - centre[1]
        for column in range(box.shape[1]):
            u = column + left - centre[0]
            if form[0] * u * u + 2 * form[1] * u * v + form[2] * v * v <= 1:
                box[row, column] |= NEAR
