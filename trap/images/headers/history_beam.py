"""The restoring beam in the history of an image, in the lines of AIPS, MIRIAD and CASA."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trap.images.headers.axis_units import unit_factor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["beam_in_history"]

_NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[ED][-+]?\d+)?)"
_UNIT = r"\s*\(?(arcsec(?:onds?)?|asec|arcmin(?:utes?)?|deg(?:rees?)?|mas|rad(?:ians?)?|\"|)\)?"
_PLAIN_UNIT = _UNIT.replace("(arc", "(?:arc")
_BETWEEN = r"[\s,;]*"
_AIPS = re.compile(
    rf"(?:(\w+)[ \t]+)?BMAJ\s*=\s*{_NUMBER}{_UNIT}{_BETWEEN}BMIN\s*=\s*{_NUMBER}{_PLAIN_UNIT}{_BETWEEN}"
    rf"BPA\s*=\s*{_NUMBER}",
    re.IGNORECASE,
)
"""``AIPS   CLEAN BMAJ=  1.3333E-02 BMIN=  7.7778E-03 BPA=   0.00``"""
_ARCSEC_TASKS = ("APCLN", "CONVL", "HORUS", "IMAGR", "MX", "RSTOR", "SCIMG", "SCMAP", "SDCLN", "UVMAP")
"""Tasks of AIPS whose own lines have the beam in arcsec; only the line of the header, ``AIPS CLEAN``, has degrees."""
_OTHERS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # MIRIAD: RESTOR: Beam =  5.303E+01 x  3.266E+01 arcsec, pa =  6.485E+00 degrees
        rf"beam\s*=\s*{_NUMBER}{_PLAIN_UNIT}\s*x\s*{_NUMBER}{_UNIT}{_BETWEEN}pa\s*=\s*{_NUMBER}",
        # CASA: Fitted beam used in restoration: 37.5693 by 19.9686 (arcsec) at pa -54.7538 (deg)
        rf"{_NUMBER}{_PLAIN_UNIT}\s+by\s+{_NUMBER}{_UNIT}\s+at\s+pa\s+{_NUMBER}",
        # CASA's newer log: Beam : 5.2 arcsec, 4.1 arcsec, -30.5 deg
        rf"beam\s*:\s*{_NUMBER}{_PLAIN_UNIT}{_BETWEEN}{_NUMBER}{_UNIT}{_BETWEEN}{_NUMBER}\s*deg",
    )
)
"""Forms of other imagers, with the unit after the second number; the default is arcsec."""


def beam_in_history(lines: Iterable[object]) -> tuple[float, float, float] | None:
    """Return the last beam in the history of an image.

    Parameters
    ----------
    lines
        Lines of HISTORY.

    Returns
    -------
    bmaj, bmin, bpa
        deg — widths and position angle of the last line with positive widths; None without such a line.
    """
    # CASA breaks a line anywhere, and begins the next one with a bracket.
    text = "\n".join(map(str, lines)).replace("\n>", "")
    beams = [beam for beam in (*_aips_beams(text), *_other_beams(text)) if min(beam[1:3]) > 0]
    return max(beams)[1:] if beams else None


def _aips_beams(text: str) -> Iterator[tuple[int, float, float, float]]:
    """Yield the place in the text, the widths and the angle of each beam in AIPS's form."""
    for match in _AIPS.finditer(text):
        task, major, unit, minor, angle = match.groups()
        in_arcsec = (task or "").upper() in _ARCSEC_TASKS
        factor = unit_factor(unit, "deg") if unit else 1 / 3600 if in_arcsec else 1.0
        yield match.start(), _float(major) * factor, _float(minor) * factor, _float(angle)


def _other_beams(text: str) -> Iterator[tuple[int, float, float, float]]:
    """Yield the place in the text, the widths and the angle of each beam in the form of another imager."""
    for pattern in _OTHERS:
        for match in pattern.finditer(text):
            major, minor, unit, angle = match.groups()
            factor = unit_factor(unit or "arcsec", "deg")
            yield match.start(), _float(major) * factor, _float(minor) * factor, _float(angle)


def _float(text: str) -> float:
    """Convert a number, whose exponent Fortran may have written with a D."""
    return float(text.upper().replace("D", "E"))
