"""Frequency and bandwidth of an image, from the keywords that different telescopes use.

A frequency axis has precedence over a rest frequency: in the headers of ASKAP and AMI images the rest
frequency is the frequency of a spectral line, not of the observation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from trap.images.headers.axis_units import unit_factor

if TYPE_CHECKING:
    from trap.config import Given
    from trap.images.headers.keywords import Keywords

__all__ = ["read_frequency"]

MIN_HZ, MAX_HZ = 1e3, 1e18
"""Limits of the frequencies that any telescope observes; a number outside them is in other units."""

_log = structlog.get_logger(__name__)

_AXES = ("FREQ", "VOPT", "FELO", "VRAD", "VELO", "SPECLNMF")
"""Beginnings of the CTYPE of a spectral axis. SPECLNMF is the axis of Obit's wide-band cube (MeerKAT, VLITE), whose
first plane covers the whole band."""
_IN_HERTZ = ("FREQ", "SPECLNMF")
_FREQUENCIES = {"RESTFRQ": 1.0, "RESTFREQ": 1.0, "FREQ": 1.0, "OBSFREQ": 1.0, "CENTFREQ": 1e6, "PRIFREQ": 1e6}
"""Keywords of the frequency of an image without a frequency axis, and their units in Hz. The last two are from MWA and
VLITE."""
_BANDWIDTHS = {"RESTBW": 1.0, "BANDWDTH": 1.0, "BW": 1.0}
"""Keywords of the bandwidth, and their units in Hz."""
_MAX_SUBBANDS = 999
_DEFAULT_BANDWIDTH_HZ = 1e6
_LIGHT_SPEED = 299_792_458.0
_RADIO_VELREF = 256
"""Values of AIPS's VELREF above this are radio velocities."""

_Doppler = Callable[[float, float], float]


def read_frequency(keywords: Keywords, given: Given) -> tuple[float, float]:
    """Read frequency and bandwidth.

    Parameters
    ----------
    keywords
        Keywords of the header.
    given
        Values that override the header.

    Returns
    -------
    frequency, bandwidth
        Hz

    Raises
    ------
    ImageError
        If the header has no frequency, or an impossible one.
    """
    if given.freq_eff is not None and given.freq_bw is not None:
        return given.freq_eff, given.freq_bw
    spectral_axis = keywords.find_axis(*_AXES)
    if spectral_axis is not None and given.freq_eff is None:
        axis, kind = spectral_axis
        frequency, bandwidth = _frequency_axis(keywords, axis, kind)
        keyword = f"CRVAL{axis}"
    else:
        keyword, frequency, bandwidth = *_frequency_elsewhere(keywords, given), 0.0
    if not MIN_HZ <= frequency <= MAX_HZ:
        keywords.reject(keyword, f"the frequency must be {MIN_HZ:g} to {MAX_HZ:g} Hz, got {frequency} Hz")
    return frequency, given.freq_bw or bandwidth or _bandwidth_elsewhere(keywords)


def _frequency_elsewhere(keywords: Keywords, given: Given) -> tuple[str, float]:
    """Return the frequency in Hz of an image without a frequency axis, and its keyword (empty if it is given)."""
    if given.freq_eff is not None:
        return "", given.freq_eff
    frequency = keywords.first_number(_FREQUENCIES)
    if frequency is None:
        keywords.reject_missing("no frequency in the header: neither a frequency axis nor RESTFRQ", _FREQUENCIES)
    keyword, value = frequency
    return keyword, value * _FREQUENCIES[keyword]


def _bandwidth_elsewhere(keywords: Keywords) -> float:
    """Return the bandwidth in Hz of an image without a frequency axis; 1 MHz if no keyword holds it."""
    stated = keywords.first_number(_BANDWIDTHS)
    if stated is not None:
        keyword, value = stated
        bandwidth = abs(value) * _BANDWIDTHS[keyword]
        if bandwidth and math.isfinite(bandwidth):
            return bandwidth
    _log.warning("bandwidth_assumed", image=keywords.url, freq_bw=_DEFAULT_BANDWIDTH_HZ)
    return _DEFAULT_BANDWIDTH_HZ


def _frequency_axis(keywords: Keywords, axis: int, kind: str) -> tuple[float, float]:
    """Return the frequency of the first plane of a spectral axis, and the step to the next plane, in Hz."""
    if keywords.text(f"CTYPE{axis}").upper().endswith("-TAB"):
        keywords.reject(f"CTYPE{axis}", "frequencies in a table cannot be read; reading.given can hold freq_eff")
    value, step = keywords.plane_values(axis)
    scale = _si_factor(keywords, f"CUNIT{axis}", "Hz" if kind in _IN_HERTZ else "m / s")
    value, step = value * scale, step * scale
    if kind in _IN_HERTZ:
        return value, (_span_of_subbands(keywords) if kind == "SPECLNMF" else 0.0) or abs(step)
    convert = _velocity_convention(keywords, kind)
    rest_frequency = keywords.first_number(("RESTFRQ", "RESTFREQ"))
    if rest_frequency is None:
        keywords.reject_missing("no frequency in the header: a velocity axis, but no RESTFRQ", ("RESTFRQ", "RESTFREQ"))
    _, rest = rest_frequency
    try:
        frequency, following = convert(value, rest), convert(value + step, rest)
    except (ValueError, ZeroDivisionError):
        keywords.reject(f"CRVAL{axis}", "a velocity above the speed of light")
    return frequency, abs(following - frequency)


def _span_of_subbands(keywords: Keywords) -> float:
    """Return the width in Hz of all subbands of an Obit cube, whose limits are listed; 0 if they are not."""
    number = min(keywords.count("NSPEC") or 0, _MAX_SUBBANDS)
    edges = [keywords.optional_number(f"{name}{n:04d}") for n in range(1, number + 1) for name in ("FREL", "FREH")]
    limits = [edge for edge in edges if edge is not None and math.isfinite(edge)]
    return max(limits) - min(limits) if limits else 0.0


def _si_factor(keywords: Keywords, keyword: str, expected: str) -> float:
    """Return the factor from the unit that a keyword names to the expected unit; 1 without the keyword."""
    text = keywords.text(keyword)
    try:
        return unit_factor(text, expected) if text else 1.0
    except ValueError as error:
        keywords.reject(keyword, str(error))


def _velocity_convention(keywords: Keywords, kind: str) -> _Doppler:
    """Return the conversion for the kind of velocity on an axis.

    Velocities on a VELO axis are relativistic, unless AIPS's VELREF marks them as optical or radio.
    """
    if kind in ("VOPT", "FELO"):
        return _optical
    reference = keywords.optional_number("VELREF") or 0
    if kind == "VRAD" or reference > _RADIO_VELREF:
        return _radio
    return _optical if reference > 0 else _relativistic


def _optical(velocity: float, rest: float) -> float:
    """Convert an optical velocity: VOPT = c (ν₀/ν − 1); Greisen et al. (2006), table 3."""
    return rest / (1 + velocity / _LIGHT_SPEED)


def _radio(velocity: float, rest: float) -> float:
    """Convert a radio velocity: VRAD = c (1 − ν/ν₀); Greisen et al. (2006), table 3."""
    return rest * (1 - velocity / _LIGHT_SPEED)


def _relativistic(velocity: float, rest: float) -> float:
    """Convert a relativistic velocity: VELO = c (ν₀² − ν²) / (ν₀² + ν²); Greisen et al. (2006), table 3."""
    beta = velocity / _LIGHT_SPEED
    return rest * math.sqrt((1 - beta) / (1 + beta))
