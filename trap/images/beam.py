"""The restoring beam: the shape that a point source has in an image."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Beam"]

_FOUR_LN2 = 4 * math.log(2)
NARROWEST, WIDEST = 1e-12, 180.0
"""deg — a few nanoarcsec, which no baseline has, and half the sky; their squares are still numbers."""


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
        If an axis is not positive and finite, or of a width that no telescope has; or the minor one is the longer.
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
        if self.bmin < NARROWEST or self.bmaj > WIDEST:
            msg = f"no beam is that wide: bmaj {self.bmaj}, bmin {self.bmin} deg"
            raise ValueError(msg)
        if self.bmin > self.bmaj:
            msg = f"bmin {self.bmin} deg is larger than bmaj {self.bmaj} deg"
            raise ValueError(msg)

    def semi_axes_pixels(self, deltax: float, deltay: float) -> tuple[float, float, float]:
        """Semi-axes at half maximum in pixels, and the position angle, by TraP's formula.

        The lengths of the two axes as seen through the pixel grid; exact for square pixels. For a
        fit use :meth:`quadratic_form`, which is exact for any.

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
        """Coefficients of the beam's exponent in pixels.

        The beam at the offset (u, v) pixels from its centre is
        exp(−½ (a u² + 2 b u v + c v²)); north is along y where ``deltay`` is positive, and east
        along −x where ``deltax`` is negative.

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
        """Integral of the beam over the sky in pixels: what turns Jy/beam × pixels into Jy.

        Parameters
        ----------
        deltax, deltay
            deg/pixel — increments along x and y; the signs do not matter.
        """
        return math.pi * self.bmaj * self.bmin / (_FOUR_LN2 * abs(deltax * deltay))

    def _direction(self) -> tuple[float, float]:
        angle = math.radians(self.bpa)
        return math.sin(angle), math.cos(angle)
