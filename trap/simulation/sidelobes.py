"""Sidelobes that deconvolution leaves around bright sources, as calibration errors of an image do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from trap.typing import Array

__all__ = ["Rings", "render_sidelobes"]

_NEGLIGIBLE = 0.03
"""Sidelobes whose first ring is lower than this, in units of the noise, are left out."""
_EIGHT_LN2 = 8 * np.log(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rings:
    """The sidelobes of a point-spread function: a cosine along the radius, which falls with the inverse of the radius.

    The radius is in units of the restoring beam along its direction, so that rings have the shape of the beam. The
    pattern begins at zero at three quarters of the radius of the first ring, and ends at zero a quarter after the last.

    Parameters
    ----------
    spacing
        Radius of the first ring, and distance of the next ones, in beam widths.
    n_rings
        Number of positive rings.
    n_spokes
        Number of arcs into which each ring is divided; 0 leaves it whole.
    """

    spacing: float
    n_rings: int
    n_spokes: int

    def at(self, radius: Array, angle: Array) -> Array:
        """Evaluate the pattern, which is 1 at the first ring between two gaps.

        Parameters
        ----------
        radius
            Distances from the source in beam widths.
        angle
            rad — directions, relative to an arc of the pattern.

        Returns
        -------
        Values of the shape of ``radius``.
        """
        rings = np.asarray(radius) / self.spacing
        inside = (rings >= 3 / 4) & (rings <= self.n_rings + 1 / 4)
        arcs = (1 + np.cos(self.n_spokes * angle)) / 2
        pattern: Array = np.where(inside, arcs * np.cos(2 * np.pi * rings) / np.maximum(rings, 1 / 2), 0.0)
        return pattern


def render_sidelobes(
    x: Array,
    y: Array,
    level: Array,
    *,
    rings: Rings,
    angle: float,
    beam_form: tuple[float, float, float],
    shape: tuple[int, int],
    noise: float,
) -> Array:
    """Draw the sidelobes of point sources.

    Parameters
    ----------
    x, y
        (n,) pix — positions; the centre of the first pixel is (0, 0).
    level
        (n,) Jy/beam — level of the first ring, negative for a hole. Levels far below the noise are left out.
    rings
        Pattern of the sidelobes.
    angle
        rad — direction of an arc, from the axis of columns towards the axis of rows.
    beam_form
        (3,) pix⁻² — coefficients (a, b, c) of :meth:`trap.images.beam.Beam.quadratic_form`.
    shape
        Numbers of rows and columns.
    noise
        Jy/beam — noise of the image.

    Returns
    -------
    (ny, nx) Jy/beam
    """
    a, b, c = beam_form
    pixels = np.zeros(shape)
    extent = (rings.n_rings + 1 / 4) * rings.spacing * np.sqrt(_EIGHT_LN2)
    # Half sizes of the ellipse of the last ring along both axes: roots of the diagonal of the inverse form.
    half_x, half_y = (int(np.ceil(extent * np.sqrt(term / (a * c - b**2)))) for term in (c, a))
    # A loop, since patterns are large and bright sources are few.
    for row in np.flatnonzero(np.abs(level) > _NEGLIGIBLE * noise):
        left, bottom = (max(0, round(float(at)) - half) for at, half in ((x[row], half_x), (y[row], half_y)))
        box = np.s_[bottom : round(float(y[row])) + half_y + 1, left : round(float(x[row])) + half_x + 1]
        rows, columns = np.indices(pixels[box].shape)
        u, v = columns + left - x[row], rows + bottom - y[row]
        radius = np.sqrt((a * u**2 + 2 * b * u * v + c * v**2) / _EIGHT_LN2)
        pixels[box] += level[row] * rings.at(radius, np.arctan2(v, u) - angle)
    return pixels
