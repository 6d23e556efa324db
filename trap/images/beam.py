"""The restoring beam: the shape of a point source in an image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Beam"]

_FOUR_LN2 = 4 * math.log(2)
MIN_WIDTH, MAX_WIDTH = 1e-12, 180.0
"""deg — a few nanoarcsec, narrower than any baseline gives, and half the sky; the squares of both are finite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beam:
    """An elliptical Gaussian restoring beam.

    Parameters
    ----------
    bmaj, bmin
        deg — full widths at half maximum along the major and the minor axis.
    bpa
        deg — position angle of the major axis, north through east.

    Raises
    ------
    ValueError
        If a value is not finite, an axis is not within the widths of any telescope, or the minor axis is the longer
        one.
    """

    bmaj: float
    bmin: float
    bpa: float

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) for value in (self.bmaj, self.bmin, self.bpa)):
            msg = f"beam must be finite, got bmaj {self.bmaj}, bmin {self.bmin}, bpa {self.bpa} deg"
            raise ValueError(msg)
        if self.bmin <= 0:
            msg = f"beam must have a positive width, got bmin {self.bmin} deg"
            raise ValueError(msg)
        if self.bmin < MIN_WIDTH or self.bmaj > MAX_WIDTH:
            msg = f"beam must be {MIN_WIDTH:g} to {MAX_WIDTH:g} deg wide, got bmaj {self.bmaj}, bmin {self.bmin} deg"
            raise ValueError(msg)
        if self.bmin > self.bmaj:
            msg = f"bmin {self.bmin} deg is larger than bmaj {self.bmaj} deg"
            raise ValueError(msg)

    def widths(self, east: ArrayLike, north: ArrayLike) -> NDArray[np.float64]:
        """Compute lengths in full widths of the beam along their directions.

        Parameters
        ----------
        east, north
            (n,) deg — components of the lengths.

        Returns
        -------
        (n,)
        """
        east, north, angle = np.asarray(east, float), np.asarray(north, float), math.radians(self.bpa)
        along = (east * math.sin(angle) + north * math.cos(angle)) / self.bmaj
        across = (east * math.cos(angle) - north * math.sin(angle)) / self.bmin
        return np.hypot(along, across)

    def semi_axes_pixels(self, deltax: float, deltay: float) -> tuple[float, float, float]:
        """Compute the semi-axes at half maximum in pixels, and the position angle, by TraP's formula.

        Each axis is converted along its own direction, which is exact for square pixels only. Fits use
        :meth:`quadratic_form`, which is exact for any pixels.

        Parameters
        ----------
        deltax, deltay
            deg/pixel — increments along x and y; the signs do not matter.

        Returns
        -------
        semimajor, semiminor
            pixels — half widths at half maximum.
        theta
            rad — position angle, north through east.
        """
        sin, cos = self._direction()
        semimajor = self.bmaj / 2 * math.hypot(sin / deltax, cos / deltay)
        semiminor = self.bmin / 2 * math.hypot(cos / deltax, sin / deltay)
        return semimajor, semiminor, math.radians(self.bpa)

    def quadratic_form(self, deltax: float, deltay: float) -> tuple[float, float, float]:
        """Compute the coefficients of the beam's exponent in pixels.

        The beam at the offset (u, v) pixels from its centre is exp(−½ (a u² + 2 b u v + c v²)). North is
        along y if ``deltay`` is positive, and east is along −x if ``deltax`` is negative.

        Parameters
        ----------
        deltax, deltay
            deg/pixel — signed increments along x and y.

        Returns
        -------
        a, b, c
            pixel⁻²
        """
        sin, cos = self._direction()
        along, across = 2 * _FOUR_LN2 / self.bmaj**2, 2 * _FOUR_LN2 / self.bmin**2
        a = (along * sin**2 + across * cos**2) * deltax**2
        b = (along - across) * sin * cos * deltax * deltay
        c = (along * cos**2 + across * sin**2) * deltay**2
        return a, b, c

    def area_pixels(self, deltax: float, deltay: float) -> float:
        """Compute the integral of the beam in pixels; a sum over pixels in Jy/beam, divided by it, is in Jy.

        Parameters
        ----------
        deltax, deltay
            deg/pixel — increments along x and y; the signs do not matter.
        """
        return self.solid_angle / abs(deltax * deltay)

    @property
    def solid_angle(self) -> float:
        """Integral of the beam over the sky, in deg²."""
        return math.pi * self.bmaj * self.bmin / _FOUR_LN2

    def projected_widths(self) -> tuple[float, float]:
        """Compute the full widths at half maximum of the beam along east-west and along north-south, in deg.

        They are the widths of the beam integrated along the other axis: its second moments projected onto each axis.
        """
        sin, cos = self._direction()
        return math.hypot(self.bmaj * sin, self.bmin * cos), math.hypot(self.bmaj * cos, self.bmin * sin)

    def _direction(self) -> tuple[float, float]:
        angle = math.radians(self.bpa)
        return math.sin(angle), math.cos(angle)
