"""Covariances of fitted parameters, in noise that is correlated from pixel to pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.kernels.compiled import compiled
from trap.kernels.gaussian import copy_table, invert, slopes_at

if TYPE_CHECKING:
    from trap.typing import Array, Indices


__all__ = ["design_of", "fit_covariances", "products", "sandwich"]

MAX_PIXELS = 1500
"""Maximum number of pixels of an island that are all paired with their neighbours. In larger islands the pixels of a
coarser grid are, on which noise and sources are smooth: the sums over a part of the pixels are a covariance too."""
MIN_CORRELATION = 0.75
"""Correlation of neighbours on the coarser grid: they are one σ of the beam apart, and sums over them exact to 1 %."""


@compiled
def fit_covariances(
    offsets: Indices,
    pixels: tuple[Indices, Indices],
    first: Indices,
    parameters: Array,
    n_free: int,
    correlation: Array,
) -> Array:
    """Compute the covariances of least-squares parameters, (JᵀJ)⁻¹ Jᵀ C J (JᵀJ)⁻¹, for noise of unit variance.

    Parameters
    ----------
    offsets
        (n_islands + 1,) — island i has the pixels ``offsets[i]`` to ``offsets[i + 1]``.
    pixels
        (n_pixels,) each — columns and rows (pix) of the fitted pixels, row by row within an island.
    first
        (n_islands + 1,) — components of island i are ``first[i]`` to ``first[i + 1]``.
    parameters
        (n_components, 6) — fitted peak, x, y, a, b, c. Islands with NaN are skipped.
    n_free
        Number of free parameters of a component: 1, 3 or 6.
    correlation
        (2 m + 1, 2 m + 1) — autocorrelation C of the noise at lags -m to m along y and x; zero at larger lags.

    Returns
    -------
    (n_components, n_free, n_free)
        Covariance of the parameters of each component, all components of its island being free; NaN without a fit.
    """
    x, y = pixels
    result = np.full((parameters.shape[0], n_free, n_free), np.nan)
    for i in range(offsets.size - 1):
        own, rows = slice(offsets[i], offsets[i + 1]), slice(first[i], first[i + 1])
        if np.isnan(parameters[rows]).any():
            continue
        design, n_components = design_of(x[own], y[own], parameters[rows], n_free), first[i + 1] - first[i]
        # Three calls, as the number of free parameters is part of the type of the tuple, see products.
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
    """Compute the design matrix J of an island without its zeros.

    Parameters
    ----------
    x, y
        (n_pixels,) pix — columns and rows.
    parameters
        (n_components, 6) — peak, x, y, a, b, c.
    n_free
        Number of free parameters of a component: 1, 3 or 6.

    Returns
    -------
    starts
        (n_pixels + 1,) — entries of pixel i are ``starts[i]`` to ``starts[i + 1]``.
    component
        (n_entries,) — component of each entry.
    slopes
        (n_entries, n_free) — its derivatives at the pixel.
    """
    n = parameters.shape[0]
    here, active = np.empty((n, 6)), np.empty(n, np.intp)
    starts = np.zeros(x.size + 1, np.intp)
    # Few of many components reach a pixel. The room for four a pixel is doubled if that is not enough.
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
    """Compute JᵀJ and Jᵀ C J of an island.

    Parameters
    ----------
    x, y
        (n_pixels,) pix — columns and rows, row by row.
    design
        Design matrix J, from :func:`design_of`.
    n_components
        Number of components.
    correlation
        (2 m + 1, 2 m + 1) — autocorrelation C of the noise at lags -m to m along y and x; zero at larger lags.
    free
        Zeros, as many as a component has free parameters. The length of a tuple is known to the compiler, which
        unrolls the loops over it.

    Returns
    -------
    normal, noise
        (n, n) each, with n = n_components · n_free — JᵀJ and Jᵀ C J. A component has ``n_free`` consecutive rows.
    """
    starts, component, slopes = design
    n_free, reach = len(free), correlation.shape[0] // 2
    if n_components == 1 and starts.size - 1 == slopes.shape[0] <= MAX_PIXELS:
        return _products_of_one(x, y, slopes, correlation, free)
    n = n_components * n_free
    normal, noise, smoothed = np.zeros((n, n)), np.zeros((n, n)), np.empty(n)
    for i in range(x.size):
        for entry in range(starts[i], starts[i + 1]):
            for other in range(starts[i], starts[i + 1]):
                row, column = component[entry] * n_free, component[other] * n_free
                for p in range(len(free)):
                    for q in range(len(free)):
                        normal[row + p, column + q] += slopes[entry, p] * slopes[other, q]
    step = _grid_step(correlation) if x.size > MAX_PIXELS else 1
    on_grid = np.flatnonzero((x % step == 0) & (y % step == 0))
    for first in range(on_grid.size):
        i = on_grid[first]
        # Row i of C J. Each pair is summed once, at its earlier pixel, and the transpose is added below.
        smoothed.fill(0.0)
        for second in range(first, on_grid.size):
            j = on_grid[second]
            dx, dy = x[j] - x[i] + reach, y[j] - y[i] + reach
            if dy > 2 * reach:
                break
            if 0 <= dx <= 2 * reach:
                # The transpose doubles the pair of a pixel with itself.
                weight = correlation[dy, dx] / 2 if j == i else correlation[dy, dx]
                for entry in range(starts[j], starts[j + 1]):
                    row = component[entry] * n_free
                    for q in range(len(free)):
                        smoothed[row + q] += weight * slopes[entry, q]
        for entry in range(starts[i], starts[i + 1]):
            row = component[entry] * n_free
            for p in range(len(free)):
                for q in range(n):
                    noise[row + p, q] += slopes[entry, p] * smoothed[q]
    # Both pixels of a pair stand for step² pixels.
    return normal, step**4 * (noise + noise.T)


@compiled
def _grid_step(correlation: Array) -> int:
    """Return the largest step, along rows and columns, at which neighbours have :data:`MIN_CORRELATION`."""
    reach = correlation.shape[0] // 2
    step = 1
    while step < reach:
        longer = step + 1
        # In both directions along the diagonal, too, about as far.
        part = int(longer / np.sqrt(2))
        along_axes = min(correlation[reach, reach + longer], correlation[reach + longer, reach])
        across = min(correlation[reach + part, reach + part], correlation[reach + part, reach - part])
        if min(along_axes, across) < MIN_CORRELATION:
            break
        step = longer
    return step


@compiled
def _products_of_one(
    x: Indices, y: Indices, slopes: Array, correlation: Array, free: tuple[int, ...]
) -> tuple[Array, Array]:
    """Do the same, faster, for a single component that reaches all pixels, as most do."""
    n, reach = len(free), correlation.shape[0] // 2
    normal, noise, smoothed = np.zeros((n, n)), np.zeros((n, n)), np.empty(n)
    for i in range(x.size):
        for q in range(len(free)):
            # The transpose doubles the pair of the pixel with itself.
            smoothed[q] = slopes[i, q] / 2
        for j in range(i + 1, x.size):
            dx, dy = x[j] - x[i] + reach, y[j] - y[i] + reach
            if dy > 2 * reach:
                break
            if 0 <= dx <= 2 * reach:
                weight = correlation[dy, dx]
                for q in range(len(free)):
                    smoothed[q] += weight * slopes[j, q]
        for p in range(len(free)):
            for q in range(len(free)):
                normal[p, q] += slopes[i, p] * slopes[i, q]
                noise[p, q] += slopes[i, p] * smoothed[q]
    return normal, noise + noise.T


@compiled
def sandwich(block: Array, noise: Array) -> Array:
    """Multiply some rows B of the inverse with the noise N: B N Bᵀ.

    Parameters
    ----------
    block
        (n_free, n) — rows B of (JᵀJ)⁻¹ that belong to one component.
    noise
        (n, n) — N = Jᵀ C J.

    Returns
    -------
    (n_free, n_free)
    """
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
