"""Gaussians fitted to islands: all components of an island together, by least squares."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Self

import numpy as np

from trap.kernels.gaussian import fit_gaussians

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.extraction.islands import Islands
    from trap.typing import Array


__all__ = ["Gaussians", "Shape", "fit_islands", "gaussian_values"]

TOLERANCE = 1e-6
"""Relative change of the sum of squares at which a fit has converged."""


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

    @classmethod
    def of(cls, parameters: Array) -> Self:
        """Take Gaussians from a table (n, 6) of peak, x, y, a, b, c."""
        return cls(peak=parameters[:, 0], x=parameters[:, 1], y=parameters[:, 2], form=parameters[:, 3:])

    @property
    def parameters(self) -> Array:
        """(n, 6) — peak, x, y, a, b, c."""
        return np.column_stack([self.peak, self.x, self.y, self.form])

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Self:
        """Take these rows."""
        return type(self)(x=self.x[rows], y=self.y[rows], peak=self.peak[rows], form=self.form[rows])

    def with_peak(self, peak: Array) -> Self:
        """Give them other peaks."""
        return type(self)(x=self.x, y=self.y, peak=peak, form=self.form)

    def joined(self, others: Self) -> Self:
        """Put others behind these."""
        return self.of(np.concatenate([self.parameters, others.parameters]))

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
    first = np.concatenate([[0], np.cumsum(counts)]).astype(np.intp)
    pixels = islands.x, islands.y, islands.value
    fitted = fit_gaussians(islands.offsets, pixels, first, start.parameters, shape.value, TOLERANCE)
    return Gaussians.of(fitted)
