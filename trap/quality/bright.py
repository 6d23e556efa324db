"""Whether an image is too near to one of the brightest sources of the sky.

Sun, Moon and Jupiter come from ERFA, the library that astropy computes with: right to a tenth of a degree seen
from the middle of the Earth (the Moon to one), and nothing has to be downloaded for it, ever.
"""

from __future__ import annotations

import math
import warnings
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import erfa  # type: ignore[import-untyped]
import numpy as np

from trap.angles import separation
from trap.quality.reasons import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["bright_position", "check_bright_source"]

_FIXED = {
    "CasA": (350.8500, 58.8150),
    "CygA": (299.8682, 40.7339),
    "TauA": (83.6332, 22.0145),
    "HerA": (252.7838, 4.9925),
    "VirA": (187.7059, 12.3911),
}
"""deg — TraP's positions."""
_J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)
_J2000_JD = 2451545.0
_JUPITER = 5


def check_bright_source(
    ra: float, dec: float, time: datetime, *, names: Sequence[str], min_separation: float
) -> Verdict:
    """See whether any of some sources is near to a position.

    Parameters
    ----------
    ra, dec
        deg — middle of the image, ICRS.
    time
        When it was taken.
    names
        See :func:`bright_position`.
    min_separation
        deg

    Returns
    -------
    The first that is too near, in the order of the names; else the nearest.
    """
    if not names:
        return Verdict(True, "no bright sources named")
    distances = {name: float(separation(ra, dec, *bright_position(name, time))) for name in names}
    near = next((name for name, distance in distances.items() if distance < min_separation), None)
    name = near or min(distances, key=distances.__getitem__)
    comment = f"Pointing is {distances[name]:.2f} degrees from {name}, at least {min_separation:g}"
    return Verdict(near is None, comment)


def bright_position(name: str, time: datetime) -> tuple[float, float]:
    """Where a bright source is.

    Parameters
    ----------
    name
        One of CasA, CygA, TauA, HerA, VirA, Sun, Jupiter and Moon.
    time
        When.

    Returns
    -------
    ra, dec
        deg — ICRS.
    """
    if name in _FIXED:
        return _FIXED[name]
    x, y, z = _from_earth(name, (time - _J2000).total_seconds() / 86400.0)
    return math.degrees(math.atan2(y, x)) % 360.0, math.degrees(math.atan2(z, math.hypot(x, y)))


def _from_earth(name: str, days: float) -> NDArray[np.float64]:
    """(3,) au — vector from the Earth. UTC serves for the dynamical time, from which it is a minute off."""
    with warnings.catch_warnings():
        # Centuries from now the series lose digits, which matters to nobody.
        warnings.simplefilter("ignore", erfa.ErfaWarning)
        if name == "Moon":
            return np.asarray(erfa.moon98(_J2000_JD, days)["p"], float)
        earth, _ = erfa.epv00(_J2000_JD, days)
        sun = -np.asarray(earth["p"], float)
        return sun if name == "Sun" else sun + np.asarray(erfa.plan94(_J2000_JD, days, _JUPITER)["p"], float)
