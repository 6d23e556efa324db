"""How far fitted parameters may be off in noise that is correlated from pixel to pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.kernels.compiled import compiled
from trap.kernels.gaussian import copy_table, invert, slopes_at

if TYPE_CHECKING:
    from trap.typing import Array, Indices


__all__ = ["design_of", "fit_covariances", "products", "sandwich"]

MAX_PIXELS = 1500
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
        design, n_components = design_of(x[own], y[own], parameters[rows], n_free), first[i + 1] - first[i]
        if n_free == 1:
            normal, noise = products(x[own], y[own], design, n_components, correlation, (0,))
        elif n_free == 3:
            normal, noise = products(x[own], y[own], design, n_components, correlation, (0,) * 3)
        else:
            normal, noise = products(x[own], y[own], design, n_components, correlation, (0,) * 6)
        inverse = invert(normal)
        for k in range(n_components):
            block = inverse[k * n_free : (k + 1) * n_free]
            copy_table(sandwich(block, noise), result[first[i] + k])
    return result


@compiled
def design_of(x: Indices, y: Indices, parameters: Array, n_free: int) -> tuple[Indices, Indices, Array]:
    """J without its zeros: for each pixel where its entries start, whose they are, and (n, n_free) derivatives."""
    n = parameters.shape[0]
    here, active = np.empty((n, 6)), np.empty(n, np.intp)
    starts = np.zeros(x.size + 1, np.intp)
    # Of many components few reach a pixel.
    component, slopes = np.empty(4 * x.size, np.intp), np.empty((4 * x.size, n_free))
    for i in range(x.size):
        n_active, _ = slopes_at(x[i], y[i], parameters, n_free, here, active)
        starts[i + 1] = starts[i] + n_active
        while starts[i + 1] > component.size:
            component = np.concatenate((component, np.empty_like(component)))
            slopes = np.concatenate((slopes, np.empty_like(slopes)))
        for k in range(n_active):
            component[starts[i] + k] = active[k]
            for q in range(n_free):
                slopes[starts[i] + k, q] = here[k, q]
    return starts, component[: starts[-1]], slopes[: starts[-1]]


@compiled
def products(
    x: Indices,
    y: Indices,
    design: tuple[Indices, Indices, Array],
    n_components: int,
    correlation: Array,
    free: tuple[int, ...],
) -> tuple[Array, Array]:
    """JᵀJ and Jᵀ C J, with a row and a column for each free parameter of each component.

    There are as many of these as ``free`` has members: the length of a tuple is known when loops are compiled.
    """
    starts, component, slopes = design
    n_free, reach = len(free), correlation.shape[0] // 2
    if n_components == 1 and starts.size - 1 == slopes.shape[0] <= MAX_PIXELS:
        return _products_of_one(x, y, slopes, correlation, free)
    n = n_components * n_free
    normal, noise, seen = np.zeros((n, n)), np.zeros((n, n)), np.empty(n)
    for i in range(x.size):
        for entry in range(starts[i], starts[i + 1]):
            for other in range(starts[i], starts[i + 1]):
                row, column = component[entry] * n_free, component[other] * n_free
                for p in range(len(free)):
                    for q in range(len(free)):
                        normal[row + p, column + q] += slopes[entry, p] * slopes[other, q]
    step = max(1, x.size // MAX_PIXELS)
    low = 0
    for i in range(0, x.size, step):
        seen.fill(0.0)
        # Each pair once: pixels come in the order of the image, and what lies before is added by symmetry below,
        # unless only a sample of the pixels is paired.
        while step > 1 and y[low] < y[i] - reach:
            low += 1
        for j in range(low if step > 1 else i, x.size):
            dx, dy = x[j] - x[i] + reach, y[j] - y[i] + reach
            if dy > 2 * reach:
                break
            if 0 <= dx <= 2 * reach:
                weight = correlation[dy, dx]
                if j == i and step == 1:
                    weight /= 2
                for entry in range(starts[j], starts[j + 1]):
                    row = component[entry] * n_free
                    for q in range(len(free)):
                        seen[row + q] += weight * slopes[entry, q]
        for entry in range(starts[i], starts[i + 1]):
            row = component[entry] * n_free
            for p in range(len(free)):
                for q in range(n):
                    noise[row + p, q] += slopes[entry, p] * seen[q]
    half = step / 2 if step > 1 else 1.0
    return normal, half * (noise + noise.T)


@compiled
def _products_of_one(
    x: Indices, y: Indices, slopes: Array, correlation: Array, free: tuple[int, ...]
) -> tuple[Array, Array]:
    """The same of a single component that reaches all pixels, as most do."""
    n, reach = len(free), correlation.shape[0] // 2
    normal, noise, seen = np.zeros((n, n)), np.zeros((n, n)), np.empty(n)
    for i in range(x.size):
        for q in range(len(free)):
            seen[q] = slopes[i, q] / 2
        for j in range(i + 1, x.size):
            dx, dy = x[j] - x[i] + reach, y[j] - y[i] + reach
            if dy > 2 * reach:
                break
            if 0 <= dx <= 2 * reach:
                weight = correlation[dy, dx]
                for q in range(len(free)):
                    seen[q] += weight * slopes[j, q]
        for p in range(len(free)):
            for q in range(len(free)):
                normal[p, q] += slopes[i, p] * slopes[i, q]
                noise[p, q] += slopes[i, p] * seen[q]
    return normal, noise + noise.T


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
