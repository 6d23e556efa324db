"""The frequency of an image, from whatever its header calls it.

Frequency comes from the frequency axis before any rest frequency: the rest frequency in the
headers of ASKAP and AMI images is that of a spectral line, not of the observation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog
from astropy import units

from trap.errors import ImageError

if TYPE_CHECKING:
    from trap.config import Given
    from trap.images.headers.keywords import Keywords

__all__ = ["read_frequency"]

LOWEST_HZ, HIGHEST_HZ = 1e3, 1e18
"""What any telescope makes images of; a number below is in other units."""

_log = structlog.get_logger(__name__)

_AXES = ("FREQ", "VOPT", "FELO", "VRAD", "VELO", "SPECLNMF")
"""What the CTYPE of a spectral axis begins with. SPECLNMF is Obit's wide-band cube (MeerKAT, VLITE), whose first
plane is the whole band."""
_IN_HERTZ = ("FREQ", "SPECLNMF")
_FREQUENCIES = {"RESTFRQ": 1.0, "RESTFREQ": 1.0, "FREQ": 1.0, "OBSFREQ": 1.0, "CENTFREQ": 1e6, "PRIFREQ": 1e6}
"""Keywords of the frequency where there is no axis, and their units in Hz; the last two are MWA's and VLITE's."""
_BANDWIDTHS = {"RESTBW": 1.0, "BANDWDTH": 1.0, "BW": 1.0}
_MOST_SUBBANDS = 999
_DEFAULT_BANDWIDTH_HZ = 1e6
_LIGHT_SPEED = 299_792_458.0
_RADIO_VELREF = 256

_Doppler = Callable[[float, float], float]


def read_frequency(keywords: Keywords, given: Given) -> tuple[float, float]:
    """Read frequency and bandwidth.

    Returns
    -------
    frequency, bandwidth
        Hz

    Raises
    ------
    ImageError
        If there is no frequency, or an impossible one.
    """
    if given.freq_eff is not None and given.freq_bw is not None:
        return given.freq_eff, given.freq_bw
    found = keywords.find_axis(*_AXES)
    if found is not None and given.freq_eff is None:
        axis, kind = found
        frequency, bandwidth = _frequency_axis(keywords, axis, kind)
        keyword = f"CRVAL{axis}"
    else:
        keyword, frequency, bandwidth = *_frequency_elsewhere(keywords, given), 0.0
    if not LOWEST_HZ <= frequency <= HIGHEST_HZ:
        keywords.reject(keyword, f"a frequency of {frequency} Hz is impossible")
    return frequency, given.freq_bw or bandwidth or _bandwidth_elsewhere(keywords)


def _frequency_elsewhere(keywords: Keywords, given: Given) -> tuple[str, float]:
    if given.freq_eff is not None:
        return "", given.freq_eff
    found = keywords.first_number(_FREQUENCIES)
    if found is None:
        raise ImageError("no frequency in the header: neither a frequency axis nor RESTFRQ", keywords.url)
    keyword, value = found
    return keyword, value * _FREQUENCIES[keyword]


def _bandwidth_elsewhere(keywords: Keywords) -> float:
    found = keywords.first_number(_BANDWIDTHS)
    bandwidth = 0.0 if found is None else abs(found[1]) * _BANDWIDTHS[found[0]]
    if bandwidth and math.isfinite(bandwidth):
        return bandwidth
    _log.warning("bandwidth_assumed", image=keywords.url, freq_bw=_DEFAULT_BANDWIDTH_HZ)
    return _DEFAULT_BANDWIDTH_HZ


def _frequency_axis(keywords: Keywords, axis: int, kind: str) -> tuple[float, float]:
    """Frequency of the first plane of a spectral axis and the step to the next, in Hz."""
    value, step = keywords.plane_values(axis)
    scale = _si_factor(keywords, f"CUNIT{axis}", "Hz" if kind in _IN_HERTZ else "m / s")
    value, step = value * scale, step * scale
    if kind in _IN_HERTZ:
        return value, (_span_of_subbands(keywords) if kind == "SPECLNMF" else 0.0) or abs(step)
    convert = _velocity_convention(keywords, kind)
    found = keywords.first_number(("RESTFRQ", "RESTFREQ"))
    if found is None:
        raise ImageError("no frequency in the header: a velocity axis, but no RESTFRQ", keywords.url)
    rest = found[1]
    try:
        frequency, following = convert(value, rest), convert(value + step, rest)
    except (ValueError, ZeroDivisionError):
        keywords.reject(f"CRVAL{axis}", "a velocity beyond that of light")
    return frequency, abs(following - frequency)


def _span_of_subbands(keywords: Keywords) -> float:
    """Width in Hz of all subbands of an Obit cube, which are listed one by one; 0 where they are not."""
    number = min(keywords.count("NSPEC") or 0, _MOST_SUBBANDS)
    edges = [keywords.number(f"{name}{n:04d}") for n in range(1, number + 1) for name in ("FREL", "FREH")]
    known = [edge for edge in edges if edge is not None and math.isfinite(edge)]
    return max(known) - min(known) if known else 0.0


def _si_factor(keywords: Keywords, keyword: str, expected: str) -> float:
    text = keywords.text(keyword)
    try:
        return float(units.Unit(text).to(expected)) if text else 1.0
    except (ValueError, TypeError, units.UnitConversionError):
        keywords.reject(keyword, f"not a unit of {expected}")


def _velocity_convention(keywords: Keywords, kind: str) -> _Doppler:
    """What a velocity axis holds; of VELO, AIPS says it in VELREF, else it is the true velocity."""
    if kind in ("VOPT", "FELO"):
        return _optical
    reference = keywords.number("VELREF") or 0
    if kind == "VRAD" or reference > _RADIO_VELREF:
        return _radio
    return _optical if reference > 0 else _relativistic


def _optical(velocity: float, rest: float) -> float:
    """Greisen et al. (2006), table 3: VOPT = c (ν₀/ν − 1)."""
    return rest / (1 + velocity / _LIGHT_SPEED)


def _radio(velocity: float, rest: float) -> float:
    """Greisen et al. (2006), table 3: VRAD = c (1 − ν/ν₀)."""
    return rest * (1 - velocity / _LIGHT_SPEED)


def _relativistic(velocity: float, rest: float) -> float:
    """Greisen et al. (2006), table 3: VELO = c (ν₀² − ν²) / (ν₀² + ν²)."""
    beta = velocity / _LIGHT_SPEED
    return rest * math.sqrt((1 - beta) / (1 + beta))
