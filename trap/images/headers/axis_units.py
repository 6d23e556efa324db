"""Units of the axes of images, in any case and in the spellings of telescopes and imagers.

Only the exact spelling of the FITS standard is in most headers: ``deg``, ``Hz``, ``m/s``. Others hold ``DEGREES``,
``MHZ`` or ``KM/S``, which neither WCSLIB nor astropy can parse.
"""

from __future__ import annotations

import math
import re

from astropy import units

__all__ = ["angle_unit", "unit_factor"]

_ANGLES = {
    "deg": "°|degs?|degrees?",
    "arcmin": "'|′|amin|arc ?mins?|arc ?minutes?|minutes? of arc",
    "arcsec": "\"|''|″|asec|arc ?secs?|arc ?seconds?|seconds? of arc",
    "mas": "mas|m(illi)?-?(arc|a) ?secs?|milli-?arc-?seconds?",
    "uas": "[uµμ]as|(u|µ|μ|micro)-?(arc|a) ?secs?|micro-?arc-?seconds?",
    "rad": "rads?|radians?",
}
"""Spellings of angles, as regular expressions for texts in small letters."""
_HERTZ = re.compile(r"(|k|kilo|m|mega|g|giga|t|tera)[ -]?h(?:z|ertz)")
_HERTZ_POWERS = {"": 0, "k": 3, "m": 6, "g": 9, "t": 12}
_SPEED = re.compile(r"(k|kilo|c|centi|)m(?:et(?:re|er)s?)?(?:/|p|per)?s(?:ecs?|econds?)?(?:-1)?")
_SPEED_FACTORS = {"": 1.0, "k": 1e3, "c": 1e-2}
_BETWEEN = re.compile(r"[\s.·()*^]")
"""Signs between the parts of a speed, which is the same without them: ``km s**-1``, ``km.s^-1``."""


def unit_factor(text: str, expected: str) -> float:
    """Return the factor from a unit to the expected unit.

    Parameters
    ----------
    text
        The unit, in any case and spelling.
    expected
        ``deg``, ``Hz`` or ``m / s``.

    Raises
    ------
    ValueError
        If the text is not a unit that converts to the expected one.
    """
    # astropy takes long to reject a unit.
    factor = _READERS[expected](text.strip()) or _other_unit(text.strip(), expected)
    if factor is None:
        msg = f"not a unit that converts to {expected}"
        raise ValueError(msg)
    return factor


def angle_unit(text: str) -> str:
    """Return the FITS spelling of a unit of angles.

    Parameters
    ----------
    text
        The unit, in any case and spelling.

    Raises
    ------
    ValueError
        If the text is not a unit of angles.
    """
    factor = unit_factor(text, "deg")
    # Spellings of the FITS standard are kept; WCSLIB converts them.
    for name in _ANGLES:
        if factor == units.Unit(name).to("deg"):
            return name
    msg = "not a unit of angles that FITS has"
    raise ValueError(msg)


_WILD = re.compile(r"\d{7}|(?:\*\*|\^|[^\d.])\s*\(?\s*[-+]?\d{3}", re.ASCII)
"""A power of three digits or more, or a long number: astropy computes it digit by digit, for ever."""


def _other_unit(text: str, expected: str) -> float | None:
    """Return the factor of a unit that astropy reads, such as ``10**6 Hz``; None if it does not convert."""
    if _WILD.search(text):
        return None
    try:
        factor = float(units.Unit(text, parse_strict="silent").to(expected))
    except (ValueError, TypeError, ArithmeticError):
        return None
    return factor if factor > 0 and math.isfinite(factor) else None


def _degrees(text: str) -> float | None:
    for name, spellings in _ANGLES.items():
        if re.fullmatch(spellings, text.lower()):
            return float(units.Unit(name).to("deg"))
    return None


def _hertz(text: str) -> float | None:
    """Return the factor of a frequency; m is mega except in the standard's mHz: no telescope observes millihertz."""
    match = _HERTZ.fullmatch(text.lower())
    if text == "mHz":
        return 1e-3
    return 10.0 ** _HERTZ_POWERS[match[1][:1]] if match else None


def _metres_per_second(text: str) -> float | None:
    bare = _BETWEEN.sub("", text.lower())
    match = _SPEED.fullmatch(bare)
    # Without a division, ms is a millisecond.
    return _SPEED_FACTORS[match[1][:1]] if match and bare != "ms" else None


_READERS = {"deg": _degrees, "Hz": _hertz, "m / s": _metres_per_second}
