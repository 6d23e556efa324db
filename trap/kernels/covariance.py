"""How far fitted parameters may be off in noise that is correlated from pixel to pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.kernels.compiled import compiled
from trap.kernels.gaussian import copy_table, invert, slopes_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Indices = NDArray[np.intp]

__all__ = ["correlated_product", "design_of", "fit_covariances", "sandwich", "squeezed"]

MOST_PIXELS = 1500
"""Pixels of an island that are each paired with all around them; of larger islands an even sample is."""


@compiled
def fit_covariances(
    offsets: Indices,
    pixels: tuple[Indices, Indices],
    first: Indices,
    parameters: Array,
    n_free: int,
    correlation: Array,
) -> Array:
    """Covariances of least-squares parameters: (JᵀJ)⁻¹ Jᵀ C J (JᵀJ)⁻¹, for noise of unit variance.

    Parameters
    ----------
    offsets, pixels
        (n_islands + 1,) and x, y — the pixels that were fitted, in each island in the order of the image.
    first, parameters, n_free
        As of :func:`trap.kernels.gaussian.fit_gaussians`; islands with NaN are left out.
    correlation
        (2 m + 1, 2 m + 1) — autocorrelation C of the noise at lags -m to m along y and x; nothing beyond.

    Returns
    -------
    (n_components, n_free, n_free)
        Of the parameters of each component, the others of its island being free too; NaN where there is none.
    """
    x, y = pixels
    result = np.full((parameters.shape[0], n_free, n_free), np.nan)
    for i in range(offsets.size - 1):
        own, rows = slice(offsets[i], offsets[i + 1]), slice(first[i], first[i + 1])
        if np.isnan(parameters[rows]).any():
            continue
        starts, component, slopes = design_of(x[own], y[own], parameters[rows], n_free)
        n_components = first[i + 1] - first[i]
        if n_components == 1 and starts.size - 1 == slopes.shape[0] <= MOST_PIXELS:
            normal, noise = _products_of_one(x[own], y[own], slopes, correlation)
            found = sandwich(invert(normal[:n_free, :n_free]), noise[:n_free, :n_free])
            copy_table(found, result[first[i]])
            continue
        design = (starts, component, slopes)
        inverse = invert(squeezed(correlated_product(x[own], y[own], design, n_components, correlation[:0]), n_free))
        noise = squeezed(correlated_product(x[own], y[own], design, n_components, correlation), n_free)
        for k in range(n_components):
            block = inverse[k * n_free : (k + 1) * n_free]
            copy_table(sandwich(block, noise), result[first[i] + k])
    return result


@compiled
def design_of(x: Indices, y: Indices, parameters: Array, n_free: int) -> tuple[Indices, Indices, Array]:
    """J without its zeros: for each pixel where its entries start, whose they are, and (n, 6) derivatives."""
    n = parameters.shape[0]
    here, active = np.empty((n, 6)), np.empty(n, np.intp)
    starts = np.zeros(x.size + 1, np.intp)
    for i in range(x.size):
        starts[i + 1] = starts[i] + slopes_at(x[i], y[i], parameters, 1, here, active)[0]
    component, slopes = np.empty(starts[-1], np.intp), np.zeros((starts[-1], 6))
    for i in range(x.size):
        n_active, _ = slopes_at(x[i], y[i], parameters, n_free, here, active)
        for k in range(n_active):
            component[starts[i] + k] = active[k]
            for q in range(n_free):
                slopes[starts[i] + k, q] = here[k, q]
    return starts, component, slopes


@compiled
def _products_of_one(x: Indices, y: Indices, slopes: Array, correlation: Array) -> tuple[Array, Array]:
    """JᵀJ and Jᵀ C J of a single component that reaches all pixels: the same sums, in loops of constant length."""
    reach = correlation.shape[0] // 2
    normal, noise, seen = np.zeros((6, 6)), np.zeros((6, 6)), np.empty(6)
    for i in range(x.size):
        for q in range(6):
            seen[q] = slopes[i, q] / 2
        for j in range(i + 1, x.size):
            dx, dy = x[j] - x[i] + reach, y[j] - y[i] + reach
            if dy > 2 * reach:
                break
            if 0 <= dx <= 2 * reach:
                weight = correlation[dy, dx]
                for q in range(6):
                    seen[q] += weight * slopes[j, q]
        for p in range(6):
            for q in range(6):
                normal[p, q] += slopes[i, p] * slopes[i, q]
                noise[p, q] += slopes[i, p] * seen[q]
    return normal, noise + noise.T


@compiled
def squeezed(matrix: Array, n_free: int) -> Array:
    """Leave out what is not free of a matrix with six rows and columns for each component."""
    n = matrix.shape[0] // 6
    result = np.empty((n * n_free, n * n_free))
    for i in range(result.shape[0]):
        for j in range(result.shape[0]):
            result[i, j] = matrix[i // n_free * 6 + i % n_free, j // n_free * 6 + j % n_free]
    return result


@compiled
def correlated_product(
    x: Indices, y: Indices, design: tuple[Indices, Indices, Array], n_components: int, correlation: Array
) -> Array:
    """Jᵀ C J, with six rows and columns for each component; with an empty table of C simply JᵀJ."""
    starts, component, slopes = design
    reach = correlation.shape[0] // 2
    n = n_components * 6
    total, seen = np.zeros((n, n)), np.empty(n)
    step = max(1, x.size // MOST_PIXELS) if reach else 1
    low = 0
    for i in range(0, x.size, step):
        seen.fill(0.0)
        # Each pair once: pixels come in the order of the image, and what lies before is added by symmetry below,
        # unless only a sample of the pixels is paired.
        while step > 1 and y[low] < y[i] - reach:
            low += 1
        j = low if step > 1 else i
        while j < x.size and y[j] - y[i] <= reach:
            if abs(x[j] - x[i]) <= reach:
                weight = correlation[y[j] - y[i] + reach, x[j] - x[i] + reach] if reach else 1.0
                if j == i and step == 1:
                    weight /= 2
                for entry in range(starts[j], starts[j + 1]):
                    row = component[entry] * 6
                    for q in range(6):
                        seen[row + q] += weight * slopes[entry, q]
            j += 1
        for entry in range(starts[i], starts[i + 1]):
            row = component[entry] * 6
            for p in range(6):
                for q in range(n):
                    total[row + p, q] += slopes[entry, p] * seen[q]
    half = step / 2 if step > 1 else 1.0
    return half * (total + total.T)


@compiled
def sandwich(block: Array, noise: Array) -> Array:
    """Rows of the inverse, times the noise, times the same rows."""
    n_free, n = block.shape
    result = np.zeros((n_free, n_free))
    for p in range(n_free):
        for i in range(n):
            part = 0.0
            for j in range(n):
                part += noise[i, j] * block[p, j]
            for q in range(n_free):
                result[p, q] += part * block[q, i]
    return result
