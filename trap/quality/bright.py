"""Whether an image is too near to one of the brightest sources of the sky.

Positions of the Sun, Moon and Jupiter come from formulas of ERFA, the library below astropy's coordinates. They are
accurate to a tenth of a degree as seen from the centre of the Earth (the Moon's to one degree), and need no download.
"""

from __future__ import annotations

import math
import warnings
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import erfa  # type: ignore[import-untyped]
import numpy as np

from trap.angles import separation
from trap.codes import RejectReason
from trap.quality.reasons import Verdict
from trap.quality.records import Check

if TYPE_CHECKING:
    from trap.quality.records import ImageInput
    from trap.typing import Array

__all__ = ["BRIGHT_SOURCE", "BRIGHT_SOURCE_ELSEWHERE", "bright_position", "check_bright_source"]

_FIXED = {
    "CasA": (350.8500, 58.8150),
    "CygA": (299.8682, 40.7339),
    "TauA": (83.6332, 22.0145),
    "HerA": (252.7838, 4.9925),
    "VirA": (187.7059, 12.3911),
}
"""TraP's positions: right ascension and declination, deg."""
_J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)
_J2000_JD = 2451545.0
_JUPITER = 5
"""ERFA's number of the planet."""


def check_bright_source(image: ImageInput) -> Verdict:
    """Check that none of ``bright_sources`` is nearer to the centre than ``quality_lofar.min_separation``.

    Returns
    -------
    Verdict
        Its comment names the first source that is too near, in the order of the setting, or else the nearest one.
    """
    names, min_separation = image.config.quality.bright_sources, image.config.quality_lofar.min_separation
    if not names:
        return Verdict(True, "no bright sources named")
    metadata = image.metadata
    distances = {
        name: float(separation(metadata.centre_ra, metadata.centre_dec, *bright_position(name, metadata.taustart_ts)))
        for name in names
    }
    too_near = [name for name, distance in distances.items() if distance < min_separation]
    name = too_near[0] if too_near else min(distances, key=distances.__getitem__)
    comment = f"Pointing is {distances[name]:.2f} degrees from {name}, at least {min_separation:g}"
    return Verdict(not too_near, comment)


BRIGHT_SOURCE = Check(
    name="bright_source",
    setting="check_bright_source",
    reason=RejectReason.BRIGHT_SOURCE,
    fails_if="LOFAR: one of `bright_sources` is nearer than `quality_lofar.min_separation`",
    function=check_bright_source,
)
BRIGHT_SOURCE_ELSEWHERE = Check(
    name="bright_source",
    setting="check_bright_source_elsewhere",
    reason=RejectReason.BRIGHT_SOURCE,
    fails_if="other telescopes: one of `bright_sources` is nearer than `quality_lofar.min_separation`",
    function=check_bright_source,
)


def bright_position(name: str, time: datetime) -> tuple[float, float]:
    """Return the position of a bright source.

    Parameters
    ----------
    name
        One of CasA, CygA, TauA, HerA, VirA, Sun, Jupiter and Moon.
    time
        Time with its time zone; moves the Sun, Jupiter and the Moon.

    Returns
    -------
    ra, dec
        deg, ICRS.
    """
    if name in _FIXED:
        return _FIXED[name]
    x, y, z = _from_earth(name, (time - _J2000).total_seconds() / 86400.0)
    return math.degrees(math.atan2(y, x)) % 360.0, math.degrees(math.atan2(z, math.hypot(x, y)))


def _from_earth(name: str, days: float) -> Array:
    """Return the vector, (3,) au, from the Earth. UTC replaces dynamical time, which differs by a minute."""
    with warnings.catch_warnings():
        # Centuries from now the series lose digits, far below the accuracy that is needed here.
        warnings.simplefilter("ignore", erfa.ErfaWarning)
        if name == "Moon":
            return np.asarray(erfa.moon98(_J2000_JD, days)["p"], float)
        earth, _ = erfa.epv00(_J2000_JD, days)
        sun = -np.asarray(earth["p"], float)
        return sun if name == "Sun" else sun + np.asarray(erfa.plan94(_J2000_JD, days, _JUPITER)["p"], float)
