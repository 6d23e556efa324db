"""What a FITS header says about its image, whichever of the many ways it says it.

Frequency comes from the frequency axis before any rest frequency: the rest frequency in the
headers of ASKAP and AMI images is that of a spectral line, not of the observation.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC
from typing import TYPE_CHECKING, NoReturn

import structlog
from astropy import units
from astropy.io.fits import VerifyError
from astropy.io.fits.card import Undefined

from trap.errors import ImageError
from trap.images.beam import Beam
from trap.images.metadata import ImageMetadata
from trap.images.projection import celestial_wcs, centre_position, pixel_increments
from trap.images.times import from_mjd, is_day, parse_date, parse_time_of_day, to_utc

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from astropy.io.fits import Header
    from astropy.wcs import WCS

__all__ = ["jansky_per_unit", "read_metadata"]

_log = structlog.get_logger(__name__)

_DEFAULT_BANDWIDTH_HZ = 1e6
_LIGHT_SPEED = 299_792_458.0
_Doppler = Callable[[float, float], float]
_HIGHEST_AXIS = 9
_RADIO_VELREF = 256
_NUMBER = r"\s*=\s*([-+.\dEe]+)\s*"
_HISTORY_BEAM = re.compile(rf"BMAJ{_NUMBER}BMIN{_NUMBER}BPA{_NUMBER}")
_BEAM_KEYWORDS = (("BMAJ", "BMIN", "BPA"), ("CLEANBMJ", "CLEANBMN", "CLEANBPA"))
_TIMES_OF_THE_START = (("TIME-OBS", None), ("UTSTART", UTC), ("UT", UTC))
"""What may hold the time that DATE-OBS lacks; two say by their names that it is UTC, whatever TIMESYS says."""

_JANSKY = re.compile(r"(m|u|µ|μ|n)?Jy", re.ASCII)
_PREFIXES = {"": 1.0, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "n": 1e-9}


def read_metadata(header: Header, url: str = "", wcs: WCS | None = None) -> ImageMetadata:
    """Read all that the pipeline needs to know of an image from its FITS header.

    Parameters
    ----------
    header
        Header of the image.
    url
        The image, for messages and for the result.
    wcs
        Its projection, where that is at hand already.

    Raises
    ------
    ImageError
        If something is missing or impossible: the projection, the frequency, the start. A missing
        or impossible beam is no error; such an image is rejected by the quality check.
    """
    keywords = _Keywords(header, url)
    wcs = celestial_wcs(header, url) if wcs is None else wcs
    nx, ny = keywords.require_number("NAXIS1"), keywords.require_number("NAXIS2")
    centre_ra, centre_dec = centre_position(wcs, int(nx), int(ny))
    if not math.isfinite(centre_ra + centre_dec):
        raise ImageError("the middle of the image is not on the sky", url)
    deltax, deltay = pixel_increments(wcs)
    freq_eff, freq_bw = _frequency(keywords)
    start = _start(keywords)
    return ImageMetadata(
        url=url,
        taustart_ts=start,
        tau_time=_duration(keywords, start),
        freq_eff=freq_eff,
        freq_bw=freq_bw,
        stokes=_stokes(keywords),
        telescope=keywords.text("TELESCOP"),
        beam=_beam(keywords),
        centre_ra=centre_ra,
        centre_dec=centre_dec,
        deltax=deltax,
        deltay=deltay,
        nx=int(nx),
        ny=int(ny),
        unit=keywords.text("BUNIT"),
    )


def jansky_per_unit(unit: str) -> float:
    """Factor that brings pixels to Jy/beam: 0.001 for ``mJy/beam``.

    Only prefixes that cannot be mistaken are taken; pixels in any other unit stay as they are.
    """
    match = _JANSKY.match(unit)
    return _PREFIXES[match[1] or ""] if match else 1.0


class _Keywords:
    """The keywords of one header, read by type, with errors that name keyword and value."""

    def __init__(self, header: Header, url: str) -> None:
        self.header = header
        self.url = url

    def reject(self, keyword: str, reason: str) -> NoReturn:
        """Refuse the image because of the value of a keyword."""
        msg = f"{keyword} = {self.header.get(keyword)!r}: {reason}"
        raise ImageError(msg, self.url)

    def text(self, keyword: str) -> str:
        """Value as text; empty where the keyword is missing."""
        try:
            value = self.header.get(keyword, "")
        except VerifyError as error:
            msg = f"{keyword} cannot be read: {error}"
            raise ImageError(msg, self.url) from error
        return "" if isinstance(value, Undefined) else str(value).strip()

    def number(self, keyword: str) -> float | None:
        """Value as a number; None where the keyword is missing or empty."""
        text = self.text(keyword)
        try:
            return float(text) if text else None
        except ValueError:
            self.reject(keyword, "not a number")

    def require_number(self, keyword: str) -> float:
        """Value as a number, which must be there."""
        value = self.number(keyword)
        if value is None:
            msg = f"no {keyword} in the header"
            raise ImageError(msg, self.url)
        return value

    def date(self, keyword: str) -> datetime | None:
        """Value as a date; None where the keyword is missing or empty."""
        text = self.text(keyword)
        try:
            return parse_date(text) if text else None
        except ValueError:
            self.reject(keyword, "not a date")

    def time_of_day(self, keyword: str) -> timedelta | None:
        """Value as the time since midnight; None where the keyword is missing, or holds something else."""
        try:
            return parse_time_of_day(self.text(keyword))
        except ValueError:
            return None

    def in_utc(self, time: datetime) -> datetime:
        """Bring a time of this header to UTC."""
        try:
            return to_utc(time, self.text("TIMESYS"))
        except ValueError as error:
            self.reject("TIMESYS", str(error))

    def find_axis(self, *kinds: str) -> tuple[int, str] | None:
        """Number and kind of the first axis beyond the second whose CTYPE begins with a kind."""
        for axis in range(3, _HIGHEST_AXIS + 1):
            ctype = self.text(f"CTYPE{axis}").upper()
            for kind in kinds:
                if ctype.startswith(kind):
                    return axis, kind
        return None

    def plane_values(self, axis: int) -> tuple[float, float]:
        """Value of an axis at its first plane, and its increment; 0 where that is missing."""
        step = self.number(f"CDELT{axis}") or self.number(f"CD{axis}_{axis}") or 0.0
        reference = self.number(f"CRPIX{axis}")
        offset = 0.0 if reference is None else 1.0 - reference
        return self.require_number(f"CRVAL{axis}") + offset * step, step


def _frequency(keywords: _Keywords) -> tuple[float, float]:
    """Frequency and bandwidth in Hz."""
    found = keywords.find_axis("FREQ", "VOPT", "FELO", "VRAD", "VELO")
    if found is not None:
        axis, kind = found
        frequency, bandwidth = _frequency_axis(keywords, axis, kind)
        keyword = f"CRVAL{axis}"
    else:
        keyword = _rest_frequency_keyword(keywords)
        frequency, bandwidth = keywords.require_number(keyword), 0.0
    if not (frequency > 0 and math.isfinite(frequency)):
        keywords.reject(keyword, f"a frequency of {frequency} Hz is impossible")
    return frequency, bandwidth or _bandwidth_elsewhere(keywords)


def _rest_frequency_keyword(keywords: _Keywords) -> str:
    for keyword in ("RESTFRQ", "RESTFREQ"):
        if keywords.number(keyword) is not None:
            return keyword
    raise ImageError("no frequency in the header: neither a frequency axis nor RESTFRQ", keywords.url)


def _bandwidth_elsewhere(keywords: _Keywords) -> float:
    bandwidth = abs(keywords.number("RESTBW") or 0.0)
    if not bandwidth:
        bandwidth = _DEFAULT_BANDWIDTH_HZ
        _log.warning("bandwidth_assumed", image=keywords.url, freq_bw=bandwidth)
    return bandwidth


def _frequency_axis(keywords: _Keywords, axis: int, kind: str) -> tuple[float, float]:
    """Frequency of the first plane of a spectral axis and the step to the next, in Hz."""
    value, step = keywords.plane_values(axis)
    scale = _si_factor(keywords, f"CUNIT{axis}", "Hz" if kind == "FREQ" else "m / s")
    value, step = value * scale, step * scale
    if kind == "FREQ":
        return value, abs(step)
    rest = keywords.require_number(_rest_frequency_keyword(keywords))
    doppler = _velocity_convention(keywords, kind)
    try:
        frequency = doppler(value, rest)
        return frequency, abs(doppler(value + step, rest) - frequency)
    except (ValueError, ZeroDivisionError):
        keywords.reject(f"CRVAL{axis}", "a velocity beyond that of light")


def _si_factor(keywords: _Keywords, keyword: str, expected: str) -> float:
    text = keywords.text(keyword)
    try:
        return float(units.Unit(text).to(expected)) if text else 1.0
    except (ValueError, units.UnitConversionError):
        keywords.reject(keyword, f"not a unit of {expected}")


def _velocity_convention(keywords: _Keywords, kind: str) -> _Doppler:
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


def _stokes(keywords: _Keywords) -> int:
    found = keywords.find_axis("STOKES")
    if found is None:
        return 1
    value, _ = keywords.plane_values(found[0])
    if not math.isfinite(value):
        keywords.reject(f"CRVAL{found[0]}", "not a code of a Stokes parameter")
    return round(value)


def _start(keywords: _Keywords) -> datetime:
    start = keywords.date("DATE-OBS")
    if start is None:
        start = _start_from_mjd(keywords)
    elif is_day(keywords.text("DATE-OBS")):
        start = _start_on(start, keywords)
    return keywords.in_utc(start)


def _start_on(day: datetime, keywords: _Keywords) -> datetime:
    """Start on a day: its time is in another keyword, as FITS had it before 1998, or else midnight."""
    for keyword, zone in _TIMES_OF_THE_START:
        time = keywords.time_of_day(keyword)
        if time is not None:
            return (day + time).replace(tzinfo=zone)
    if keywords.text("MJD-OBS"):
        start = _start_from_mjd(keywords)
        if start.date() == day.date():
            return start
    _log.warning("start_taken_as_midnight", image=keywords.url, day=str(day.date()))
    return day


def _start_from_mjd(keywords: _Keywords) -> datetime:
    mjd = keywords.number("MJD-OBS")
    if mjd is None:
        raise ImageError("no start in the header: neither DATE-OBS nor MJD-OBS", keywords.url)
    try:
        return from_mjd(mjd)
    except ValueError:
        keywords.reject("MJD-OBS", "not a date")


def _duration(keywords: _Keywords, start: datetime) -> float:
    """Duration in s: stated, or up to the end, or the time spent on source; 0 where unknown."""
    stated = keywords.number("TAU_TIME")
    if stated is not None:
        return _not_negative(keywords, "TAU_TIME", stated)
    for keyword in ("END_UTC", "DATE-END"):
        end = _end(keywords, keyword, start)
        if end is not None:
            return _not_negative(keywords, keyword, (end - start).total_seconds())
    for keyword in ("EXPTIME", "EXPOSURE"):
        exposure = keywords.number(keyword)
        if exposure is not None:
            return _not_negative(keywords, keyword, exposure)
    return 0.0


def _end(keywords: _Keywords, keyword: str, start: datetime) -> datetime | None:
    """Stated end, in UTC; None where there is none, or nothing but its day, on which the image starts too."""
    end = keywords.date(keyword)
    if end is None:
        return None
    if is_day(keywords.text(keyword)):
        time = keywords.time_of_day("TIME-END")
        if time is not None:
            end += time
        elif end.date() == start.date():
            return None
    return to_utc(end, "UTC") if keyword == "END_UTC" else keywords.in_utc(end)


def _not_negative(keywords: _Keywords, keyword: str, seconds: float) -> float:
    if not (seconds >= 0 and math.isfinite(seconds)):
        keywords.reject(keyword, f"a duration of {seconds} s is impossible")
    return seconds


def _beam(keywords: _Keywords) -> Beam | None:
    numbers = _beam_numbers(keywords)
    if numbers is None:
        return None
    bmaj, bmin, bpa = numbers
    if bmin > bmaj:
        # The same ellipse, described from its minor axis.
        bmaj, bmin, bpa = bmin, bmaj, bpa + 90
    try:
        return Beam(bmaj=bmaj, bmin=bmin, bpa=bpa)
    except ValueError as error:
        _log.warning("beam_unusable", image=keywords.url, reason=str(error))
        return None


def _beam_numbers(keywords: _Keywords) -> tuple[float, float, float] | None:
    """Axes and position angle in deg, from keywords or from the last CLEAN in the history."""
    for major, minor, angle in _BEAM_KEYWORDS:
        bmaj, bmin = keywords.number(major), keywords.number(minor)
        if bmaj is not None and bmin is not None:
            return bmaj, bmin, keywords.number(angle) or 0.0
    history = "\n".join(str(line) for line in keywords.header.get("HISTORY", ()))
    found = _HISTORY_BEAM.findall(history)
    if not found:
        return None
    bmaj, bmin, bpa = (float(number) for number in found[-1])
    return bmaj, bmin, bpa
