"""Positions on the sky as people write them. Nothing slow is imported here: the help of the commands needs it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trap.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["POSITION_EXAMPLES", "parse_position"]

POSITION_EXAMPLES = "173.1367 27.6989, '11h32m32.8s +27d41m56s', 11:32:32.8 +27:41:56 or J113232.8+274156"


def parse_position(text: str | Sequence[str]) -> tuple[float, float]:
    """Read a position: two numbers in degrees, or any text that astropy reads as coordinates.

    Parameters
    ----------
    text
        Text, or the words of a command line.

    Returns
    -------
    ra, dec
        deg, ICRS

    Raises
    ------
    ConfigError
        If the text is no position.
    """
    words = [text] if isinstance(text, str) else text
    joined = " ".join(words).replace(",", " ").strip()
    try:
        ra, dec = map(float, joined.split())
    except ValueError:
        return _sky_coordinates(joined)
    if not (-360 <= ra <= 360 and -90 <= dec <= 90):
        msg = f"not a position: ra {ra:g}, dec {dec:g} degrees"
        raise ConfigError(msg)
    return ra, dec


def _sky_coordinates(text: str) -> tuple[float, float]:
    """Read coordinates that are not two numbers. astropy is slow to import, so numbers do without it."""
    from astropy.coordinates import SkyCoord
    from astropy.coordinates.jparser import to_skycoord

    try:
        if re.match(r"\D*J\d", text):
            place = to_skycoord(text)
        elif re.search("[hd°]", text):
            place = SkyCoord(text)
        else:
            place = SkyCoord(text, unit=("hourangle", "deg"))
        return float(place.icrs.ra.deg), float(place.icrs.dec.deg)
    except (ValueError, TypeError, IndexError) as error:
        msg = f"{text!r} is no position; examples: {POSITION_EXAMPLES}"
        raise ConfigError(msg) from error
