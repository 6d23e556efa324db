"""Islands of connected pixels: their pixels, their neighbours, and the pixels that they are fitted to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trap.kernels.compiled import compiled
from trap.kernels.maps import IN_PEAK

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.typing import Array, Indices


__all__ = ["AT_EDGE", "AT_GAP", "fit_footprints", "peak_regions", "segment_pixels", "touching"]

AT_EDGE, AT_GAP = 1, 2
"""Bits of :func:`touching`: the island touches the edge of the searched area, or a pixel without a value."""
BLOCK = 256
"""Number of pixels of a row that are skipped at once if none of them is in an island."""
NEAR, OWN = 1, 2
"""Bits of a pixel in :func:`fit_footprints`: it is near a component, or it belongs to the island."""


@compiled
def peak_regions(classes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mark the pixels above a lower threshold that are connected to a pixel above an upper one.

    Regions are filled outwards from their peaks. Pixels that touch at a corner are connected.

    Parameters
    ----------
    classes
        (ny, nx) — from :func:`trap.kernels.maps.threshold_classes`.

    Returns
    -------
    (ny, nx)
        True for the pixels of regions that hold a pixel of the class ``IN_PEAK``.
    """
    ny, nx = classes.shape
    is_marked = np.zeros((ny, nx), np.bool_)
    # Rows and columns of marked pixels whose neighbours are not examined yet.
    waiting = np.empty((1024, 2), np.int32)
    for y in range(ny):
        for start in range(0, nx, BLOCK):
            if _any_bits(classes[y, start : start + BLOCK]) < IN_PEAK:
                continue
            for x in range(start, min(start + BLOCK, nx)):
                if classes[y, x] != IN_PEAK or is_marked[y, x]:
                    continue
                is_marked[y, x] = True
                waiting[0, 0], waiting[0, 1], n_waiting = y, x, 1
                while n_waiting:
                    n_waiting -= 1
                    row, column = waiting[n_waiting, 0], waiting[n_waiting, 1]
                    if n_waiting + 8 > len(waiting):
                        waiting = np.concatenate((waiting, np.empty_like(waiting)))
                    for i in range(max(row - 1, 0), min(row + 2, ny)):
                        for k in range(max(column - 1, 0), min(column + 2, nx)):
                            if classes[i, k] and not is_marked[i, k]:
                                is_marked[i, k] = True
                                waiting[n_waiting, 0], waiting[n_waiting, 1] = i, k
                                n_waiting += 1
    return is_marked


@compiled
def segment_pixels(labels: NDArray[np.int32], n_labels: int) -> tuple[Indices, Indices]:
    """List the pixels of all segments, segment by segment.

    Parameters
    ----------
    labels
        (ny, nx) — 0 outside segments, otherwise 1 to ``n_labels``.
    n_labels
        Number of segments.

    Returns
    -------
    offsets, flat
        (n_labels + 1,) and (n_pixels,) — the start of each segment, and the indices y·nx + x; the pixels of a segment
        are in the order of the image.
    """
    ny, nx = labels.shape
    offsets = np.zeros(n_labels + 1, np.intp)
    # Index and label of all pixels of segments, in the order of the image.
    labelled, n_labelled = np.empty((16 * BLOCK, 2), np.intp), 0
    for y in range(ny):
        for start in range(0, nx, BLOCK):
            block = labels[y, start : start + BLOCK]
            if not _any_bits(block):
                continue
            if n_labelled + BLOCK > len(labelled):
                labelled = np.concatenate((labelled, np.empty_like(labelled)))
            for i in range(block.size):
                if block[i]:
                    offsets[block[i]] += 1
                    labelled[n_labelled, 0], labelled[n_labelled, 1] = y * nx + start + i, block[i]
                    n_labelled += 1
    for i in range(n_labels):
        offsets[i + 1] += offsets[i]
    flat, places = np.empty(n_labelled, np.intp), offsets[:-1].copy()
    for i in range(n_labelled):
        segment = labelled[i, 1] - 1
        flat[places[segment]] = labelled[i, 0]
        places[segment] += 1
    return offsets, flat


@compiled
def _any_bits(block: NDArray[Any]) -> int:
    """Return the union of the bits of integers: 0 if all are 0. The compiler vectorizes this loop."""
    bits = block[0]
    for i in range(block.size):
        bits |= block[i]
    return int(bits)


@compiled
def touching(
    offsets: Indices, x: Indices, y: Indices, mask: NDArray[np.bool_], data: NDArray[np.float32]
) -> NDArray[np.int32]:
    """Find the islands that touch the edge of the searched area, or a pixel without a value.

    Parameters
    ----------
    offsets
        (n + 1,) — first place of each island in the lists of pixels.
    x, y
        (n_pixels,) — columns and rows of the islands' pixels.
    mask
        (ny, nx) — True for pixels that are not searched.
    data
        (ny, nx) — pixels of the image.

    Returns
    -------
    (n,)
        Sums of the bits ``AT_EDGE`` and ``AT_GAP``.
    """
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
    """Choose the pixels that islands are fitted to: pixels near their components, and optionally all their own pixels.

    Parameters
    ----------
    islands
        (n_islands + 1,), (n_pixels,), (n_pixels,) — offsets, x and y of the pixels of all islands.
    taken
        (ny, nx) — True for masked pixels and for pixels of islands; the latter are available to their own island only.
    which
        (n,) — indices of the islands that are fitted.
    first
        (n + 1,) — components of the i-th of these islands are ``first[i]`` to ``first[i + 1]``.
    centres
        (n_components, 2) pix — x and y.
    form
        (3,) pix⁻² — (a, b, c): pixels with a u² + 2 b u v + c v² ≤ 1 are near a centre at distance (u, v).
    keeps_island
        Whether all pixels of an island are chosen too.

    Returns
    -------
    offsets, flat
        (n + 1,) and (n_chosen,) — the start of each island, and the indices y·nx + x, see :func:`segment_pixels`.
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
        # The box around the ellipses of all components, and around the island if it is kept.
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
                is_in_footprint = marks & NEAR or (keeps_island and marks)
                if is_in_footprint and (marks & OWN or not taken[low + row, left + column]):
                    flat[n] = (low + row) * nx + left + column
                    n += 1
        new_offsets[i + 1] = n
    return new_offsets, flat[:n].copy()


@compiled
def _mark_ellipse(box: NDArray[np.uint8], left: int, low: int, centre: Array, form: Array, reach_y: float) -> None:
    """Mark the pixels within an ellipse about a centre, in a box with first pixel (left, low)."""
    first = max(int(np.ceil(centre[1] - reach_y)) - low, 0)
    last = min(int(np.floor(centre[1] + reach_y)) - low, box.shape[0] - 1)
    for row in range(first, last + 1):
        v = row + low - centre[1]
        for column in range(box.shape[1]):
            u = column + left - centre[0]
            if form[0] * u * u + 2 * form[1] * u * v + form[2] * v * v <= 1:
                box[row, column] |= NEAR
