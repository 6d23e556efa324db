"""What lies around islands, which are lists of connected pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.kernels.compiled import compiled
from trap.kernels.maps import IN_PEAK

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Indices = NDArray[np.intp]

__all__ = ["AT_EDGE", "AT_GAP", "fit_footprints", "list_segments", "touching"]

AT_EDGE, AT_GAP = 1, 2
"""Bits of :func:`touching`."""


@compiled
def list_segments(labels: NDArray[np.int32], reached: NDArray[np.uint8], n_labels: int) -> tuple[Indices, Indices]:
    """List the pixels of those segments of which one reaches the upper threshold.

    Parameters
    ----------
    labels
        (ny, nx) — 1 to ``n_labels``; 0 outside segments.
    reached
        (ny, nx) — as of :func:`trap.kernels.maps.height_map`: 0 outside segments.

    Returns
    -------
    offsets, flat
        (n + 1,) and (n_pixels,) — where each island starts, and the indices y·nx + x; islands in the order of
        their first pixels, pixels in that of the image.
    """
    ny, nx = labels.shape
    sizes, is_kept = np.zeros(n_labels + 1, np.intp), np.zeros(n_labels + 1, np.bool_)
    order, n_seen = np.empty(n_labels, np.intp), 0
    for y in range(ny):
        for x in range(nx):
            if reached[y, x]:
                label = labels[y, x]
                if not sizes[label]:
                    order[n_seen] = label
                    n_seen += 1
                sizes[label] += 1
                is_kept[label] |= reached[y, x] == IN_PEAK
    start, offsets, n = np.zeros(n_labels + 1, np.intp), np.zeros(n_labels + 1, np.intp), 0
    for label in order[:n_seen]:
        if is_kept[label]:
            start[label] = offsets[n]
            n += 1
            offsets[n] = offsets[n - 1] + sizes[label]
    flat = np.empty(offsets[n], np.intp)
    for y in range(ny):
        for x in range(nx):
            if reached[y, x] and is_kept[labels[y, x]]:
                label = labels[y, x]
                flat[start[label]] = y * nx + x
                start[label] += 1
    return offsets[: n + 1].copy(), flat


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
    mask
        (ny, nx) — pixels never chosen.
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
        As of :func:`list_segments`; no pixel is another island's own.
    """
    offsets, x, y = islands
    ny, nx = mask.shape
    owner_is_other = np.zeros((ny, nx), np.bool_)
    for pixel in range(x.size):
        owner_is_other[y[pixel], x[pixel]] = True
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
        for pixel in own:
            owner_is_other[y[pixel], x[pixel]] = False
            if keeps_island:
                left, right = min(left, x[pixel]), max(right, x[pixel])
                low, high = min(low, y[pixel]), max(high, y[pixel])
        box = np.zeros((max(high - low + 1, 0), max(right - left + 1, 0)), np.bool_)
        if keeps_island:
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
