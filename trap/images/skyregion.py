"""The sky region of an image: the circle around its centre that is searched for sources."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trap.angles import separation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = ["SkyRegion"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SkyRegion:
    """A circle on the sky.

    Parameters
    ----------
    centre_ra, centre_dec
        deg — centre, ICRS; the right ascension in [0, 360).
    xtr_radius
        deg — radius within which sources are extracted.

    Raises
    ------
    ValueError
        If the centre is not on the sky, or the radius is not positive and finite.
    """

    centre_ra: float
    centre_dec: float
    xtr_radius: float

    def __post_init__(self) -> None:
        if not (0 <= self.centre_ra < 360 and -90 <= self.centre_dec <= 90):
            msg = f"centre must be on the sky, got RA {self.centre_ra}, Dec {self.centre_dec} deg"
            raise ValueError(msg)
        if not (self.xtr_radius > 0 and math.isfinite(self.xtr_radius)):
            msg = f"radius must be positive and finite, got {self.xtr_radius} deg"
            raise ValueError(msg)

    def covers(self, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.bool_]:
        """Return whether positions lie strictly inside the circle.

        Parameters
        ----------
        ra, dec
            (n,) deg — positions; NaN lies outside.
        """
        inside: NDArray[np.bool_] = separation(ra, dec, self.centre_ra, self.centre_dec) < self.xtr_radius
        return inside
