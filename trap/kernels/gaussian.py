"""Least-squares fits of elliptical Gaussians: all islands in one call, the components of an island jointly.

A component has the parameters (peak, x, y, a, b, c) of peak · exp(-½ (a u² + 2 b u v + c v²)), where (u, v) is the
offset of a pixel from its centre (x, y). The first ``n_free`` of them are fitted: all 6, the 3 of a source with a fixed
shape, or the peak alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.kernels.compiled import compiled

if TYPE_CHECKING:
    from trap.typing import Array, Indices

    Pixels = tuple[Indices, Indices, Array]
    """(n_pixels,) each — columns x and rows y in pixels, and values in Jy/beam."""

__all__ = ["MAX_EXPONENT", "copy_table", "fit_gaussians", "invert", "residuals", "slopes_at", "strongest_components"]

MAX_EXPONENT = 36.0
"""a u² + 2 b u v + c v² at which a Gaussian is cut off: at 6 σ, 1.5e-8 of its peak."""
MAX_CURVATURE = 50.0
"""Maximum a + c of a fit (pix⁻²): a source with a σ of 0.14 pixels fits between the pixels."""
MAX_STEPS = 100
"""Steps, accepted or rejected, after which a fit has failed. A good fit needs five to ten."""
MAX_DAMPING = 1e9
"""Damping at which steps are too small to change anything, so that the minimum is reached."""


@compiled
def fit_gaussians(
    offsets: Indices, pixels: Pixels, first: Indices, start: Array, n_free: int, tolerance: float
) -> Array:
    """Fit all islands by Levenberg and Marquardt's method, with Marquardt's scaling and exact derivatives.

    Parameters
    ----------
    offsets
        (n_islands + 1,) — pixels of island i are ``offsets[i]`` to ``offsets[i + 1]``.
    pixels
        (n_pixels,) each — columns, rows (pix) and values (Jy/beam).
    first
        (n_islands + 1,) — components of island i are ``first[i]`` to ``first[i + 1]``.
    start
        (n_components, 6) — first guesses of peak, x, y, a, b, c. Fixed parameters keep them.
    n_free
        Number of free parameters of a component: 1, 3 or 6.
    tolerance
        Relative change of the sum of squares at which a fit has converged.

    Returns
    -------
    (n_components, 6)
        NaN if the fit of an island did not converge, or had fewer pixels than free parameters.
    """
    x, y, value = pixels
    result = np.full(start.shape, np.nan)
    for i in range(offsets.size - 1):
        own, rows = slice(offsets[i], offsets[i + 1]), slice(first[i], first[i + 1])
        n_parameters = (first[i + 1] - first[i]) * n_free
        if offsets[i + 1] - offsets[i] >= n_parameters:
            parameters = start[rows].copy()
            if _descend((x[own], y[own], value[own]), parameters, n_free, tolerance):
                copy_table(parameters, result[rows])
    return result


@compiled
def _descend(pixels: Pixels, parameters: Array, n_free: int, tolerance: float) -> bool:
    """Fit the (n_components, 6) parameters of one island in place; return whether the fit converged.

    All arrays are made once, and reused in each step.
    """
    n = parameters.shape[0] * n_free
    normal, gradient, trial_normal, trial_gradient = np.zeros((n, n)), np.zeros(n), np.zeros((n, n)), np.zeros(n)
    work, step, trial = np.empty((n, n)), np.empty(n), parameters.copy()
    slopes, active = np.empty((parameters.shape[0], 6)), np.empty(parameters.shape[0], np.intp)
    power = np.sum(pixels[2] ** 2)
    cost = _normal_equations(pixels, parameters, n_free, normal, gradient, slopes, active)
    damping = 1e-3
    for _ in range(MAX_STEPS):
        is_allowed = _solve_damped(normal, gradient, damping, work, step)
        if is_allowed:
            for k in range(parameters.shape[0]):
                for q in range(n_free):
                    trial[k, q] = parameters[k, q] + step[k * n_free + q]
            is_allowed = _are_ellipses(trial)
        if is_allowed:
            trial_cost = _normal_equations(pixels, trial, n_free, trial_normal, trial_gradient, slopes, active)
            # Strongly damped steps change little, at the minimum or not.
            has_converged = abs(cost - trial_cost) <= tolerance * cost and damping < 1.0
            if trial_cost <= cost:
                copy_table(trial, parameters)
                cost = trial_cost
                # Swapped, so that the next trial overwrites the old equations.
                normal, trial_normal = trial_normal, normal
                gradient, trial_gradient = trial_gradient, gradient
                if has_converged or cost <= 1e-24 * power:
                    return True
                damping = max(damping * 0.1, 1e-12)
                continue
            if has_converged:
                return True
        damping *= 10
        if damping > MAX_DAMPING:
            return is_allowed
    return False


@compiled
def copy_table(source: Array, target: Array) -> None:
    """Copy a table, which compiles ten times faster than an assignment of slices.

    Parameters
    ----------
    source
        (n, m) — numbers to copy.
    target
        (n, m) — overwritten.
    """
    for i in range(source.shape[0]):
        for j in range(source.shape[1]):
            target[i, j] = source[i, j]


@compiled
def _are_ellipses(parameters: Array) -> bool:
    """Return whether all components (n, 6) are ellipses that are not too narrow."""
    for k in range(parameters.shape[0]):
        a, b, c = parameters[k, 3], parameters[k, 4], parameters[k, 5]
        if not (a > 0 and a * c > b * b and a + c < MAX_CURVATURE and np.isfinite(parameters[k, 0])):
            return False
    return True


@compiled
def slopes_at(x: float, y: float, parameters: Array, n_free: int, slopes: Array, active: Indices) -> tuple[int, float]:
    """Compute the derivatives, at one pixel, of the components that reach it.

    Parameters
    ----------
    x, y
        pix — column and row of the pixel.
    parameters
        (n, 6) — components of its island.
    n_free
        Number of free parameters of a component: 1, 3 or 6.
    slopes
        (n, 6) — overwritten: row m holds the derivatives of the m-th component that reaches the pixel, by its first
        ``n_free`` parameters.
    active
        (n,) — overwritten: number of the m-th component that reaches the pixel.

    Returns
    -------
    n_active
        Number of components that reach the pixel, and of rows in ``slopes`` and ``active``.
    model
        Jy/beam — sum of the components.
    """
    n_active, model = 0, 0.0
    for k in range(parameters.shape[0]):
        peak, a, b, c = parameters[k, 0], parameters[k, 3], parameters[k, 4], parameters[k, 5]
        u, v = x - parameters[k, 1], y - parameters[k, 2]
        exponent = a * u * u + 2 * b * u * v + c * v * v
        if exponent > MAX_EXPONENT:
            continue
        unit = np.exp(-exponent / 2)
        here = peak * unit
        model += here
        slopes[n_active, 0] = unit
        if n_free > 1:
            slopes[n_active, 1] = here * (a * u + b * v)
            slopes[n_active, 2] = here * (b * u + c * v)
        if n_free > 3:
            slopes[n_active, 3] = -here * u * u / 2
            slopes[n_active, 4] = -here * u * v
            slopes[n_active, 5] = -here * v * v / 2
        active[n_active] = k
        n_active += 1
    return n_active, model


@compiled
def _normal_equations(
    pixels: Pixels, parameters: Array, n_free: int, normal: Array, gradient: Array, slopes: Array, active: Indices
) -> float:
    """Fill the lower half of JᵀJ (n, n), and Jᵀr (n,), with n the free parameters of all components; return Σ r².

    ``slopes`` and ``active`` are work arrays for :func:`slopes_at`.
    """
    if parameters.shape[0] == 1 and n_free == 3:
        return _normal_equations_of_one(pixels, parameters[0], normal, gradient)
    normal.fill(0.0)
    gradient.fill(0.0)
    cost = 0.0
    x, y, value = pixels
    for i in range(x.size):
        n_active, model = slopes_at(x[i], y[i], parameters, n_free, slopes, active)
        residual = value[i] - model
        cost += residual * residual
        # Blocks of earlier active components lie left of the diagonal; of its own block the lower half is filled.
        for m in range(n_active):
            row = active[m] * n_free
            for p in range(n_free):
                slope = slopes[m, p]
                gradient[row + p] += slope * residual
                for n in range(m):
                    column = active[n] * n_free
                    for q in range(n_free):
                        normal[row + p, column + q] += slope * slopes[n, q]
                for q in range(p + 1):
                    normal[row + p, row + q] += slope * slopes[m, q]
    return cost


@compiled
def _normal_equations_of_one(pixels: Pixels, parameters: Array, normal: Array, gradient: Array) -> float:
    """Do the same, faster, for peak and position of a single component, which most islands are."""
    peak, x0, y0, a, b, c = parameters
    cost = sum_0 = sum_1 = sum_2 = n_00 = n_10 = n_11 = n_20 = n_21 = n_22 = 0.0
    x, y, value = pixels
    for i in range(x.size):
        u, v = x[i] - x0, y[i] - y0
        slope_x, slope_y = a * u + b * v, b * u + c * v
        exponent = u * slope_x + v * slope_y
        unit = np.exp(-exponent / 2) if exponent <= MAX_EXPONENT else 0.0
        here = peak * unit
        residual = value[i] - here
        slope_x *= here
        slope_y *= here
        cost += residual * residual
        sum_0 += unit * residual
        sum_1 += slope_x * residual
        sum_2 += slope_y * residual
        n_00 += unit * unit
        n_10 += slope_x * unit
        n_11 += slope_x * slope_x
        n_20 += slope_y * unit
        n_21 += slope_y * slope_x
        n_22 += slope_y * slope_y
    gradient[0], gradient[1], gradient[2] = sum_0, sum_1, sum_2
    normal[0, 0], normal[1, 0], normal[1, 1] = n_00, n_10, n_11
    normal[2, 0], normal[2, 1], normal[2, 2] = n_20, n_21, n_22
    return cost


@compiled
def _solve_damped(normal: Array, gradient: Array, damping: float, work: Array, step: Array) -> bool:
    """Solve (N + damping · diag N) step = gradient by Cholesky's method; return whether a solution exists.

    ``work`` (n, n) and ``step`` (n,) are overwritten.
    """
    n = gradient.size
    for i in range(n):
        if not normal[i, i] > 0:
            return False
    # Scaled to a unit diagonal, which makes the solution independent of the units of the parameters.
    for i in range(n):
        for j in range(i):
            work[i, j] = normal[i, j] / np.sqrt(normal[i, i] * normal[j, j])
        work[i, i] = 1.0 + damping
        step[i] = gradient[i] / np.sqrt(normal[i, i])
    if not _factorise(work):
        return False
    _substitute(work, step)
    for i in range(n):
        step[i] /= np.sqrt(normal[i, i])
    return True


@compiled
def _factorise(matrix: Array) -> bool:
    """Replace the lower half of a matrix by its Cholesky factor; return whether it is positive definite."""
    for j in range(matrix.shape[0]):
        for i in range(j, matrix.shape[0]):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            if i > j:
                matrix[i, j] = total / matrix[j, j]
            elif total > 1e-14:
                matrix[j, j] = np.sqrt(total)
            else:
                return False
    return True


@compiled
def _substitute(factor: Array, right: Array) -> None:
    """Solve L Lᵀ x = right in place, first L z = right, then Lᵀ x = z."""
    n = right.size
    for i in range(n):
        for k in range(i):
            right[i] -= factor[i, k] * right[k]
        right[i] /= factor[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            right[i] -= factor[k, i] * right[k]
        right[i] /= factor[i, i]


@compiled
def invert(matrix: Array) -> Array:
    """Invert a symmetric matrix (n, n) from its lower half; NaN if it is not positive definite."""
    n = matrix.shape[0]
    scale, factor, inverse = np.empty(n), np.empty((n, n)), np.zeros((n, n))
    for i in range(n):
        scale[i] = 1.0 / np.sqrt(matrix[i, i]) if matrix[i, i] > 0 else np.nan
    for i in range(n):
        for j in range(i + 1):
            factor[i, j] = matrix[i, j] * scale[i] * scale[j]
    if not _factorise(factor):
        inverse.fill(np.nan)
        return inverse
    for i in range(n):
        inverse[i, i] = 1.0
        _substitute(factor, inverse[i])
    for i in range(n):
        for j in range(n):
            inverse[i, j] *= scale[i] * scale[j]
    return inverse


@compiled
def residuals(offsets: Indices, pixels: Pixels, first: Indices, parameters: Array) -> Array:
    """Subtract from each pixel all components of its island.

    Parameters
    ----------
    offsets, pixels, first
        As for :func:`fit_gaussians`.
    parameters
        (n_components, 6) — peak, x, y, a, b, c.

    Returns
    -------
    (n_pixels,) Jy/beam
    """
    x, y, value = pixels
    result = value.copy()
    for i in range(offsets.size - 1):
        own = parameters[first[i] : first[i + 1]]
        slopes, active = np.empty((own.shape[0], 6)), np.empty(own.shape[0], np.intp)
        for pixel in range(offsets[i], offsets[i + 1]):
            _, model = slopes_at(x[pixel], y[pixel], own, 1, slopes, active)
            result[pixel] -= model
    return result


@compiled
def strongest_components(offsets: Indices, x: Indices, y: Indices, first: Indices, parameters: Array) -> Indices:
    """Find the brightest component at each pixel.

    Parameters
    ----------
    offsets
        (n_islands + 1,) — pixels of island i are ``offsets[i]`` to ``offsets[i + 1]``.
    x, y
        (n_pixels,) pix — columns and rows.
    first
        (n_islands + 1,) — components of island i are ``first[i]`` to ``first[i + 1]``.
    parameters
        (n_components, 6) — peak, x, y, a, b, c.

    Returns
    -------
    (n_pixels,)
        Number of the component within the island of the pixel, from 0.
    """
    result = np.zeros(x.size, np.intp)
    for i in range(offsets.size - 1):
        for pixel in range(offsets[i], offsets[i + 1]):
            highest = -np.inf
            for k in range(first[i], first[i + 1]):
                u, v = x[pixel] - parameters[k, 1], y[pixel] - parameters[k, 2]
                a, b, c = parameters[k, 3], parameters[k, 4], parameters[k, 5]
                # In logarithms, which do not underflow far from the centre.
                height = np.log(parameters[k, 0]) - (a * u * u + 2 * b * u * v + c * v * v) / 2
                if height > highest:
                    highest, result[pixel] = height, k - first[i]
    return result
