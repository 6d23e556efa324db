"""Deconvolve the fitted shapes of sources from the beam.

The convolution of two Gaussians adds their matrices of second moments, so deconvolution subtracts
them. AIPS' ``DECONV`` (Wild 1970, Aust. J. Phys. 23, 113) is the same, written case by case in
angles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trap.extraction.celestial import wrap_position_angle
from trap.tables import ColumnTable, column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.typing import Array


__all__ = ["Ellipses", "deconvolution_errors", "deconvolve"]

MIN_RATIO = 1e-9
"""Square of a deconvolved axis, over the square of the beam's major axis, up to which the axis counts as unresolved:
rounding errors."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ellipses(ColumnTable):
    """Shapes, or the 1σ errors of shapes. The axes of all rows have one unit and one kind (full or half)."""

    major: Array = column("f8", "", "Major axis.")
    minor: Array = column("f8", "", "Minor axis.")
    pa: Array = column("f8", "deg", "Position angle of the major axis, north through east.")


def deconvolve(fitted: Ellipses, beam: Ellipses) -> tuple[Ellipses, NDArray[np.int16]]:
    """Deconvolve fitted shapes from the beam.

    Parameters
    ----------
    fitted
        (n,) — fitted shapes.
    beam
        (n,) — shape of the beam at each source, in the same unit.

    Returns
    -------
    source
        (n,) — deconvolved shapes. An unresolved axis is 0; the position angle lies in [0, 180) and is
        0 for a round source.
    n_unresolved
        (n,) — number of axes, 0 to 2, that are no longer than the beam's.
    """
    north, mixed, east = (f - b for f, b in zip(_moments(fitted), _moments(beam), strict=True))
    # Squares of the two axes: the eigenvalues of the matrix of second moments.
    middle, half_range = (north + east) / 2, np.hypot((north - east) / 2, mixed)
    squares = np.stack([middle + half_range, middle - half_range])
    min_square = MIN_RATIO * beam.major**2
    squares = np.where(squares > min_square, squares, np.where(np.isnan(squares), np.nan, 0.0))
    has_direction = (half_range > min_square) & (squares[0] > 0)
    direction = wrap_position_angle(np.degrees(np.arctan2(2 * mixed, north - east)) / 2)
    major, minor = np.sqrt(squares)
    source = Ellipses(major=major, minor=minor, pa=np.where(has_direction, direction, 0.0))
    return source, np.asarray((squares == 0).sum(axis=0), np.int16)


def deconvolution_errors(fitted: Ellipses, errors: Ellipses, beam: Ellipses) -> Ellipses:
    """Propagate the errors of fitted shapes through the deconvolution.

    As in TraP, the deconvolution is repeated with each parameter of the fit 1σ up and 1σ down. The
    mean square of the two changes of each parameter is computed, and the three are added. For a
    resolved source the result agrees with the usual propagation of errors. For an axis that is
    barely resolved it stays finite, while the derivative, ∝ 1/axis, diverges.

    Parameters
    ----------
    fitted
        (n,) — fitted shapes.
    errors
        (n,) — 1σ errors of ``fitted``.
    beam
        (n,) — shape of the beam at each source, in the same unit.

    Returns
    -------
    errors
        (n,) — 1σ errors of the deconvolved axes and of the angle (deg, at most 90). NaN if the axis is
        unresolved even 1σ up, if the source is round (for the angle), or if an error is NaN.
    """
    source, _ = deconvolve(fitted, beam)
    major, minor, pa = (np.zeros(len(fitted.major)) for _ in range(3))
    for name in ("major", "minor", "pa"):
        for sign in (-1.0, 1.0):
            moved = fitted.with_columns(**{name: getattr(fitted, name) + sign * getattr(errors, name)})
            other, _ = deconvolve(moved, beam)
            major += (other.major - source.major) ** 2 / 2
            minor += (other.minor - source.minor) ** 2 / 2
            # Axes at 179° and at 1° differ by 2°.
            turn = np.where(other.major > 0, np.mod(other.pa - source.pa + 90.0, 180.0) - 90.0, 90.0)
            pa += turn**2 / 2
    return Ellipses(
        major=np.where(major > 0, np.sqrt(major), np.nan),
        minor=np.where(minor > 0, np.sqrt(minor), np.nan),
        pa=np.where(source.major > source.minor, np.minimum(np.sqrt(pa), 90.0), np.nan),
    )


def _moments(shape: Ellipses) -> tuple[Array, Array, Array]:
    """Compute the second moments north-north, north-east and east-east, in units of the axes squared."""
    sin, cos = np.sin(np.radians(shape.pa)), np.cos(np.radians(shape.pa))
    major, minor = shape.major**2, shape.minor**2
    return major * cos**2 + minor * sin**2, (major - minor) * sin * cos, major * sin**2 + minor * cos**2
