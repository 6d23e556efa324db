"""Gaussians fitted to islands: all components of an island together, by least squares."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy.optimize import leastsq

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.extraction.islands import Islands

    Array = NDArray[np.float64]

__all__ = ["Gaussians", "Shape", "fit_islands", "gaussian_values"]

TOLERANCE = 1e-6
"""Relative change of the sum of squares, or of the parameters, at which a fit has converged."""
MOST_EVALUATIONS = 100
"""Evaluations of the model after which a fit has failed; a good one takes five to ten."""


class Shape(Enum):
    """What a fit leaves free; the value is the number of parameters of a component."""

    BEAM = 3
    """Peak and position; the shape is the restoring beam's."""
    FREE = 6
    """Peak, position and shape."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gaussians:
    """Elliptical Gaussians peak · exp(-½ (a u² + 2 b u v + c v²)), at (u, v) from their centres.

    Parameters
    ----------
    x, y
        (n,) pix — centres; the centre of the first pixel is 0.
    peak
        (n,) Jy/beam
    form
        (n, 3) pix⁻² — the coefficients a, b, c.
    """

    x: Array
    y: Array
    peak: Array
    form: Array

    def __len__(self) -> int:
        return len(self.x)

    def where(self, condition: NDArray[np.bool_], other: Self) -> Self:
        """Take these rows where ``condition`` holds, and those of ``other`` elsewhere."""
        return type(self)(
            x=np.where(condition, self.x, other.x),
            y=np.where(condition, self.y, other.y),
            peak=np.where(condition, self.peak, other.peak),
            form=np.where(condition[:, np.newaxis], self.form, other.form),
        )


def gaussian_values(u: Array, v: Array, form: Array) -> Array:
    """Gaussians of peak 1 at offsets from their centres.

    Parameters
    ----------
    u, v
        (...) pix
    form
        (..., 3) pix⁻² — broadcast against the offsets.
    """
    a, b, c = np.moveaxis(form, -1, 0)
    # A form on its way through a fit need not be positive definite; the bound keeps it finite.
    values: Array = np.exp(np.minimum(-(a * u * u + 2 * b * u * v + c * v * v) / 2, 1.0))
    return values


def fit_islands(islands: Islands, counts: NDArray[np.intp], start: Gaussians, shape: Shape) -> Gaussians:
    """Fit the components of every island to its pixels, all pixels with equal weight.

    Parameters
    ----------
    islands
        The pixels, island by island.
    counts
        (n_islands,) — components of each island.
    start
        (n,) first guesses, in the order of the islands; their peaks must not be zero. With
        ``Shape.BEAM`` their forms are kept.
    shape
        What is free.

    Returns
    -------
    Gaussians
        (n,) — NaN where the fit did not converge, or is no ellipse.
    """
    first = np.concatenate([[0], np.cumsum(counts)])
    guess = np.column_stack([start.peak, start.x, start.y, start.form])
    result = np.full_like(guess, np.nan)
    for i in range(len(islands)):  # One by one, as MINPACK takes them.
        rows, pixels = slice(first[i], first[i + 1]), islands.pixels(i)
        if islands.sizes[i] >= counts[i] * shape.value:
            result[rows] = _Fit(islands.x[pixels], islands.y[pixels], islands.value[pixels], guess[rows], shape).solve()
    peak, x, y, a, b, c = result.T
    is_ellipse = (a > 0) & (a * c - b**2 > 0)
    result[~is_ellipse] = np.nan
    return Gaussians(x=x, y=y, peak=peak, form=result[:, 3:])


class _Fit:
    """The least-squares problem of one island, scaled so that all parameters are of order one."""

    def __init__(self, x: NDArray[np.intp], y: NDArray[np.intp], value: Array, guess: Array, shape: Shape) -> None:
        self._origin = np.array([0.0, x[0], y[0], 0.0, 0.0, 0.0])
        # In units of the highest pixel, and of the first guess's coefficients.
        self._scale = np.array([value.max(), 1.0, 1.0, *np.repeat(guess[:, [3, 5]].max(), 3)])
        self._u, self._v = x - self._origin[1], y - self._origin[2]
        self._value = value / self._scale[0]
        self._guess: Array = (guess - self._origin) / self._scale
        self._n_free = shape.value

    def solve(self) -> Array:
        """(n_components, 6) — the fitted parameters; NaN where the fit did not converge."""
        # A fit that runs away is told by its status.
        with np.errstate(over="ignore", invalid="ignore"):
            solution, _, _, _, status = leastsq(
                self._residuals,
                self._guess[:, : self._n_free].ravel(),
                Dfun=self._derivatives,
                col_deriv=True,
                full_output=True,
                ftol=TOLERANCE,
                xtol=TOLERANCE,
                maxfev=MOST_EVALUATIONS,
            )
        # MINPACK: 1 to 4 is convergence of one kind or another.
        if status not in (1, 2, 3, 4) or not np.isfinite(solution).all():
            return np.full_like(self._guess, np.nan)
        parameters: Array = self._complete(solution) * self._scale + self._origin
        return parameters

    def _complete(self, free: Array) -> Array:
        """(n_components, 6) — free parameters, and the fixed ones of the guess."""
        parameters: Array = self._guess.copy()
        parameters[:, : self._n_free] = free.reshape(len(parameters), -1)
        return parameters

    def _offsets(self, parameters: Array) -> tuple[Array, Array, Array]:
        """Offsets from each centre, and the Gaussian of peak 1 there: (n_components, n_pixels) each."""
        u, v = self._u - parameters[:, 1, np.newaxis], self._v - parameters[:, 2, np.newaxis]
        return u, v, gaussian_values(u, v, (parameters[:, 3:] * self._scale[3])[:, np.newaxis, :])

    def _residuals(self, free: Array) -> Array:
        parameters = self._complete(free)
        *_, unit = self._offsets(parameters)
        residuals: Array = parameters[:, 0] @ unit - self._value
        return residuals

    def _derivatives(self, free: Array) -> Array:
        parameters = self._complete(free)
        u, v, unit = self._offsets(parameters)
        peak, _, _, a, b, c = parameters.T[:, :, np.newaxis]
        model, scale = peak * unit, self._scale[3]
        derivatives = [unit, model * (a * u + b * v) * scale, model * (b * u + c * v) * scale]
        if self._n_free == Shape.FREE.value:
            derivatives += [-model * u * u * scale / 2, -model * u * v * scale, -model * v * v * scale / 2]
        jacobian: Array = np.stack(derivatives, axis=1).reshape(free.size, -1)
        return jacobian
