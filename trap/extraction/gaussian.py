"""Elliptical Gaussians, and their least-squares fits to islands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Self

import numpy as np

from trap.kernels.gaussian import MAX_EXPONENT, fit_gaussians
from trap.tables import ColumnTable, column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.extraction.islands import Islands
    from trap.typing import Array


__all__ = ["REACH_SIGMA", "Gaussians", "Shape", "fit_islands"]

REACH_SIGMA = float(np.sqrt(MAX_EXPONENT))
"""Radius, in its own σ, at which a Gaussian is cut off: at 1.5e-8 of its peak."""
TOLERANCE = 1e-6
"""Relative change of the sum of squares at which a fit has converged."""


class Shape(Enum):
    """Free parameters of a fit; the value is the number of them in a component."""

    BEAM = 3
    """Peak and position; the shape is the restoring beam's."""
    FREE = 6
    """Peak, position and shape."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gaussians(ColumnTable):
    """Elliptical Gaussians peak · exp(-½ (a u² + 2 b u v + c v²)), at the offset (u, v) from their centres."""

    x: Array = column("f8", "pix", "Column of the centre; the centre of the first pixel is 0.")
    y: Array = column("f8", "pix", "Row of the centre; the centre of the first pixel is 0.")
    peak: Array = column("f8", "Jy/beam", "Peak.")
    form: Array = column("f8", "pix-2", "Coefficients a, b, c of the exponent.", shape=(3,))

    @classmethod
    def from_parameters(cls, parameters: Array) -> Self:
        """Make Gaussians of an array (n, 6) of peak, x, y, a, b, c."""
        peak, x, y = parameters[:, 0], parameters[:, 1], parameters[:, 2]
        return cls.of_checked(x=x, y=y, peak=peak, form=parameters[:, 3:])

    @property
    def parameters(self) -> Array:
        """(n, 6) — a new array of peak, x, y, a, b, c, as the kernels use it."""
        return np.column_stack([self.peak, self.x, self.y, self.form])


def fit_islands(islands: Islands, counts: NDArray[np.intp], start: Gaussians, shape: Shape) -> Gaussians:
    """Fit the components of each island jointly to its pixels, all pixels with equal weight.

    Parameters
    ----------
    islands
        Pixels, island by island.
    counts
        (n_islands,) — number of components of each island.
    start
        (n,) — first guesses, in the order of the islands. Their peaks must not be zero. With
        ``Shape.BEAM`` their forms are kept.
    shape
        Free parameters.

    Returns
    -------
    Gaussians
        (n,) — NaN if the fit did not converge, or is not an ellipse.
    """
    first = np.concatenate([[0], np.cumsum(counts)]).astype(np.intp)
    pixels = islands.x, islands.y, islands.value
    fitted = fit_gaussians(islands.offsets, pixels, first, start.parameters, shape.value, TOLERANCE)
    return Gaussians.from_parameters(fitted)
