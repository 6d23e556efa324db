"""Peaks of Gaussians with fixed positions and shapes: groups that overlap, their pixels, and the linear solution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.kernels.compiled import compiled
from trap.kernels.covariance import design_of, products, sandwich
from trap.kernels.gaussian import MAX_EXPONENT, invert
from trap.kernels.unions import find_root, join_sets

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.typing import Array, Indices


__all__ = [
    "add_gaussians",
    "core_pixels",
    "first_of_close",
    "fit_peaks",
    "link_gaussians",
    "overlapping_pairs",
]


@compiled
def link_gaussians(parameters: Array, min_overlap: float) -> Indices:
    """Group Gaussians that overlap, directly or through others.

    Parameters
    ----------
    parameters
        (n, 6) — peak, x, y, a, b, c.
    min_overlap
        Correlation of two Gaussians, relative to their correlation with a common centre, above which they are linked.

    Returns
    -------
    (n,)
        Number of each Gaussian's group, from 0.
    """
    n = parameters.shape[0]
    parent, number = np.arange(n), np.full(n, -1)
    inverse, limit = _variances(parameters), -2 * np.log(min_overlap)
    order = np.argsort(parameters[:, 2])
    rows = parameters[order, 2]
    for i in range(n):
        reach = np.sqrt(limit * 2 * inverse[i, 2])
        k = np.searchsorted(rows, parameters[i, 2] - reach)
        while k < n and rows[k] <= parameters[i, 2] + reach:
            if _is_pair(parameters, inverse, i, order[k], limit):
                join_sets(parent, i, order[k])
            k += 1
    n_groups = 0
    for i in range(n):
        root = find_root(parent, i)
        if number[root] < 0:
            number[root] = n_groups
            n_groups += 1
        number[i] = number[root]
    return number


@compiled
def overlapping_pairs(parameters: Array, min_overlap: float) -> tuple[Indices, Indices]:
    """List the pairs of Gaussians that overlap.

    Parameters
    ----------
    parameters, min_overlap
        As for :func:`link_gaussians`.

    Returns
    -------
    one, other
        (n_pairs,) each — numbers of two Gaussians; each pair is listed once.
    """
    n = parameters.shape[0]
    inverse, limit = _variances(parameters), -2 * np.log(min_overlap)
    order = np.argsort(parameters[:, 2])
    rows = parameters[order, 2]
    pairs, n_pairs = np.empty((max(8 * n, 16), 2), np.intp), 0
    for i in range(n):
        reach = np.sqrt(limit * 2 * inverse[i, 2])
        k = np.searchsorted(rows, parameters[i, 2] - reach)
        while k < n and rows[k] <= parameters[i, 2] + reach:
            if _is_pair(parameters, inverse, i, order[k], limit):
                if n_pairs == pairs.shape[0]:
                    pairs = np.concatenate((pairs, np.empty_like(pairs)))
                pairs[n_pairs, 0], pairs[n_pairs, 1] = i, order[k]
                n_pairs += 1
            k += 1
    return pairs[:n_pairs, 0].copy(), pairs[:n_pairs, 1].copy()


@compiled
def _variances(parameters: Array) -> Array:
    """Compute the variances along x, of x and y, and along y of Gaussians: (n, 3) pix²."""
    inverse = np.empty((parameters.shape[0], 3))
    for i in range(parameters.shape[0]):
        a, b, c = parameters[i, 3], parameters[i, 4], parameters[i, 5]
        determinant = a * c - b * b
        inverse[i, 0], inverse[i, 1], inverse[i, 2] = c / determinant, -b / determinant, a / determinant
    return inverse


@compiled
def _is_pair(parameters: Array, inverse: Array, i: int, j: int, limit: float) -> bool:
    """Return whether two Gaussians overlap, and the first one is taller, so that it finds the other one in its rows."""
    if inverse[j, 2] > inverse[i, 2] or (inverse[j, 2] == inverse[i, 2] and j >= i):
        return False
    # The product of two Gaussians integrates to a Gaussian of their distance, with the sum of their variances.
    xx, xy, yy = inverse[i, 0] + inverse[j, 0], inverse[i, 1] + inverse[j, 1], inverse[i, 2] + inverse[j, 2]
    u, v = parameters[i, 1] - parameters[j, 1], parameters[i, 2] - parameters[j, 2]
    return bool(yy * u * u - 2 * xy * u * v + xx * v * v < limit * (xx * yy - xy * xy))


@compiled
def first_of_close(points: Array, is_candidate: NDArray[np.bool_], distance: float) -> NDArray[np.bool_]:
    """Choose points in their order that are not close to one that was chosen before.

    Parameters
    ----------
    points
        (n, 2) — points in a plane.
    is_candidate
        (n,) — whether a point may be chosen.
    distance
        Distance, inclusive, up to which two points are close.

    Returns
    -------
    (n,)
    """
    n = points.shape[0]
    chosen = np.zeros(n, np.bool_)
    if n == 0:
        return chosen
    # Chosen points are listed by the cells of a grid, with no more cells than a few for each point.
    x, y = points[:, 0] - points[:, 0].min(), points[:, 1] - points[:, 1].min()
    width, height = x.max(), y.max()
    cell = max(distance, np.sqrt(width * height / n), (width + height) / n)
    n_x, n_y = int(width / cell) + 3, int(height / cell) + 3
    latest, before = np.full(n_x * n_y, -1, np.intp), np.full(n, -1, np.intp)
    for i in range(n):
        column, row, is_free = int(x[i] / cell) + 1, int(y[i] / cell) + 1, is_candidate[i]
        for near in range(9):
            j = latest[(row + near // 3 - 1) * n_x + column + near % 3 - 1] if is_free else -1
            while j >= 0 and is_free:
                is_free = (x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2 > distance * distance
                j = before[j]
        if is_free:
            chosen[i] = True
            before[i] = latest[row * n_x + column]
            latest[row * n_x + column] = i
    return chosen


@compiled
def core_pixels(flat: Indices, nx: int, centres: Array, form: Array) -> tuple[Indices, Indices]:
    """List the pixels near centres.

    Parameters
    ----------
    flat
        (n_pixels,) — indices y·nx + x of the available pixels, increasing.
    nx
        Number of columns of the image.
    centres
        (n, 2) pix — x and y.
    form
        (3,) pix⁻² — (a, b, c): pixels with a u² + 2 b u v + c v² ≤ 1 are near a centre at distance (u, v).

    Returns
    -------
    offsets, places
        (n + 1,) and (n_places,) — the start of each centre's pixels, and their places in ``flat``, increasing.
    """
    a, b, c = form
    reach = np.sqrt(a / (a * c - b * b))
    offsets = np.zeros(centres.shape[0] + 1, np.intp)
    places, n = np.empty(max(64 * centres.shape[0], 1024), np.intp), 0
    for i in range(centres.shape[0]):
        x, y = centres[i]
        for row in range(int(np.ceil(y - reach)), int(np.floor(y + reach)) + 1):
            v = row - y
            # Both ends of the ellipse in this row solve a u² + 2 b u v + c v² = 1.
            root = np.sqrt(max((b * v) ** 2 - a * (c * v * v - 1), 0.0))
            left, right = np.ceil(x + (-b * v - root) / a), np.floor(x + (-b * v + root) / a)
            first, last = row * nx + int(max(left, 0)), row * nx + int(min(right, nx - 1))
            k = np.searchsorted(flat, first)
            while k < flat.size and flat[k] <= last:
                if n == places.size:
                    places = np.concatenate((places, np.empty_like(places)))
                places[n] = k
                n, k = n + 1, k + 1
        offsets[i + 1] = n
    return offsets, places[:n].copy()


@compiled
def add_gaussians(flat: Indices, nx: int, value: Array, parameters: Array) -> Array:
    """Add Gaussians to the values of pixels.

    Parameters
    ----------
    flat
        (n_pixels,) — indices y·nx + x of the pixels, increasing.
    nx
        Number of columns of the image.
    value
        (n_pixels,) — brightness.
    parameters
        (n, 6) — peak, x, y, a, b, c. Each Gaussian ends where its exponent exceeds ``MAX_EXPONENT``.

    Returns
    -------
    (n_pixels,)
        Brightness with the Gaussians added.
    """
    result = value.copy()
    for i in range(parameters.shape[0]):
        peak, x, y, a, b, c = parameters[i]
        determinant = a * c - b * b
        reach_x, reach_y = np.sqrt(MAX_EXPONENT * c / determinant), np.sqrt(MAX_EXPONENT * a / determinant)
        left, right = max(np.ceil(x - reach_x), 0.0), min(np.floor(x + reach_x), nx - 1.0)
        for row in range(int(max(np.ceil(y - reach_y), 0.0)), int(np.floor(y + reach_y)) + 1):
            k = np.searchsorted(flat, row * nx + int(left))
            while k < flat.size and flat[k] <= row * nx + int(right):
                u, v = flat[k] - row * nx - x, row - y
                exponent = a * u * u + 2 * b * u * v + c * v * v
                if exponent <= MAX_EXPONENT:
                    result[k] += peak * np.exp(-exponent / 2)
                k += 1
    return result


@compiled
def fit_peaks(
    offsets: Indices,
    pixels: tuple[Indices, Indices, Array],
    first: Indices,
    parameters: Array,
    spring: Array,
    correlation: Array,
) -> tuple[Array, Array]:
    """Solve for the peaks of each group by linear least squares: M⁻¹ Jᵀ d, with the covariance M⁻¹ Jᵀ C J M⁻¹.

    Parameters
    ----------
    offsets
        (n_groups + 1,) — first place of each group in the lists of pixels.
    pixels
        (n_pixels,) each — x, y and value of the pixels. The pixels of a group are in the order of the image.
    first
        (n_groups + 1,) — Gaussians of group i are ``first[i]`` to ``first[i + 1]``.
    parameters
        (n, 6) — peak, x, y, a, b, c. The peaks are not used.
    spring
        (n,) — weight of a peak of zero, as a share of the peak's own weight. M is JᵀJ with its diagonal increased by
        this share.
    correlation
        (2 m + 1, 2 m + 1) — autocorrelation C of the noise, see :func:`trap.kernels.covariance.fit_covariances`.

    Returns
    -------
    peak, variance
        (n,) each — the variance is for noise of unit variance. A Gaussian without pixels has peak 0, variance NaN.
    """
    x, y, value = pixels
    peak, variance = np.zeros(parameters.shape[0]), np.full(parameters.shape[0], np.nan)
    for i in range(offsets.size - 1):
        own, rows = slice(offsets[i], offsets[i + 1]), slice(first[i], first[i + 1])
        n = first[i + 1] - first[i]
        design = design_of(x[own], y[own], parameters[rows], 1)
        starts, component, slopes = design
        right = np.zeros(n)
        for pixel in range(starts.size - 1):
            for entry in range(starts[pixel], starts[pixel + 1]):
                right[component[entry]] += slopes[entry, 0] * value[own][pixel]
        normal, noise = products(x[own], y[own], design, n, correlation, (0,))
        # The equation of a Gaussian without pixels is 1 · peak = 0, which keeps the matrix regular.
        has_pixels = np.empty(n, np.bool_)
        for k in range(n):
            has_pixels[k] = normal[k, k] > 0
            normal[k, k] = normal[k, k] * (1 + spring[first[i] + k]) if has_pixels[k] else 1.0
        inverse = invert(normal)
        for k in range(n):
            for m in range(n):
                peak[first[i] + k] += inverse[k, m] * right[m]
            if has_pixels[k]:
                variance[first[i] + k] = sandwich(inverse[k : k + 1], noise)[0, 0]
    return peak, variance
