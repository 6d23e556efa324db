"""How large a source is on the sky, once the beam is taken out of its fitted shape.

The convolution of two Gaussians adds their matrices of second moments, so deconvolution subtracts
them. That is all of AIPS' ``DECONV`` (Wild 1970, Aust. J. Phys. 23, 113), without its cases.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.typing import Array


__all__ = ["Ellipses", "deconvolution_errors", "deconvolve"]

LEAST_SHARE = 1e-9
"""What is left of the beam's axes by rounding, as a share of their squares: no size."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ellipses:
    """Shapes, or the 1σ errors of shapes.

    Parameters
    ----------
    major, minor
        (n,) — axes, all of one unit and one kind (full or half).
    pa
        (n,) deg — position angle of the major axis, north through east.
    """

    major: Array
    minor: Array
    pa: Array


def deconvolve(fitted: Ellipses, beam: Ellipses) -> tuple[Ellipses, NDArray[np.int16]]:
    """Take the beam out of fitted shapes.

    Parameters
    ----------
    fitted, beam
        (n,) — the shape of each source, and that of the beam where it lies.

    Returns
    -------
    source
        (n,) — 0 for an axis that is unresolved; the position angle in [0, 180), and 0 where there is
        none.
    n_unresolved
        (n,) — axes, 0 to 2, that are no longer than the beam's.
    """
    north, mixed, east = (f - b for f, b in zip(_moments(fitted), _moments(beam), strict=True))
    middle, half_range = (north + east) / 2, np.hypot((north - east) / 2, mixed)
    nothing = LEAST_SHARE * beam.major**2
    squares = np.stack([middle + half_range, middle - half_range])
    squares = np.where(squares > nothing, squares, np.where(np.isnan(squares), np.nan, 0.0))
    is_direction = (half_range > nothing) & (squares[0] > 0)
    pa = np.where(is_direction, np.mod(np.degrees(np.arctan2(2 * mixed, north - east)) / 2, 180.0), 0.0)
    major, minor = np.sqrt(squares)
    # A tiny negative angle rounds up to exactly 180.
    source = Ellipses(major=major, minor=minor, pa=np.where(pa >= 180.0, 0.0, pa))
    return source, np.asarray((squares == 0).sum(axis=0), np.int16)


def deconvolution_errors(fitted: Ellipses, errors: Ellipses, beam: Ellipses) -> Ellipses:
    """Carry the errors of fitted shapes through the deconvolution.

    As TraP does, the deconvolution is done again with each parameter of the fit 1σ up and 1σ down.
    The mean square of the two changes is taken per parameter, and the three are added: for a
    resolved source the usual propagation of errors, and for an axis at the edge of being
    resolved still finite, which the derivative, ∝ 1/axis, is not.

    Parameters
    ----------
    fitted, errors, beam
        (n,) — shapes, their 1σ errors, and the beam's.

    Returns
    -------
    errors
        (n,) — of the deconvolved axes and angle (deg, at most 90). NaN where an axis stays
        unresolved even 1σ up, where there is no angle, and where an error is NaN.
    """
    source, _ = deconvolve(fitted, beam)
    major, minor, pa = (np.zeros(len(fitted.major)) for _ in range(3))
    for name in ("major", "minor", "pa"):
        for sign in (-1.0, 1.0):
            moved = replace(fitted, **{name: getattr(fitted, name) + sign * getattr(errors, name)})
            other, _ = deconvolve(moved, beam)
            major += (other.major - source.major) ** 2 / 2
            minor += (other.minor - source.minor) ** 2 / 2
            # An axis has no direction: 179° is 2° off 1°.
            turn = np.where(other.major > 0, np.mod(other.pa - source.pa + 90.0, 180.0) - 90.0, 90.0)
            pa += turn**2 / 2
    return Ellipses(
        major=_known(np.sqrt(major), major > 0),
        minor=_known(np.sqrt(minor), minor > 0),
        pa=_known(np.minimum(np.sqrt(pa), 90.0), source.major > source.minor),
    )


def _known(error: Array, condition: NDArray[np.bool_]) -> Array:
    return np.where(condition, error, np.nan)


def _moments(shape: Ellipses) -> tuple[Array, Array, Array]:
    """Second moments along north-north, north-east and east-east, in units of the axes squared."""
    sin, cos = np.sin(np.radians(shape.pa)), np.cos(np.radians(shape.pa))
    major, minor = shape.major**2, shape.minor**2
    return major * cos**2 + minor * sin**2, (major - minor) * sin * cos, major * sin**2 + minor * cos**2
