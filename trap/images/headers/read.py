"""Metadata of an image from its header, for the keywords of many telescopes and imagers.

They use different keywords for the same quantity. The tables below list the keywords; the first one that
holds a value is used. Headers are from FITS files, or are created by the readers of other formats.
"""

from __future__ import annotations

import math
from datetime import UTC
from typing import TYPE_CHECKING, Any, NoReturn

import structlog

from trap.config import STOKES, Given
from trap.errors import ImageError
from trap.images.beam import Beam
from trap.images.headers.axis_units import unit_factor
from trap.images.headers.brightness import parse_brightness
from trap.images.headers.frequency import read_frequency
from trap.images.headers.history_beam import beam_in_history
from trap.images.headers.keywords import Keywords
from trap.images.headers.projection import celestial_wcs, centre_position, check_distortion, projection_errors
from trap.images.headers.scale import farthest_pixel, is_restored_in_plane, pixel_increments
from trap.images.headers.times import from_mjd, is_day, to_mjd, to_utc
from trap.images.metadata import ImageMetadata, LofarStations

if TYPE_CHECKING:
    from datetime import datetime

    from astropy.io.fits import Header
    from astropy.wcs import WCS

    from trap.images.headers.brightness import Brightness

__all__ = ["read_brightness", "read_metadata"]

_log = structlog.get_logger(__name__)

_TELESCOPES = {
    "AARTFAAC": ("AARTFAAC",),
    "AMI-LA": ("AMI-LA", "AMILA", "AMI_LA"),
    "ASKAP": ("ASKAP",),
    "ATCA": ("ATCA",),
    "GMRT": ("GMRT", "UGMRT"),
    "KAT-7": ("KAT-7", "KAT7"),
    "LOFAR": ("LOFAR",),
    "MeerKAT": ("MEERKAT",),
    "MWA": ("MWA",),
    "OVRO-LWA": ("OVRO-LWA", "OVRO_LWA", "OVRO-MMA", "OVRO_MMA"),
    "VLA": ("VLA", "EVLA", "JVLA", "VLITE"),
    "WSRT": ("WSRT", "WESTERBO", "WESTERBORK", "APERTIF"),
}
"""Telescopes, and their names in TELESCOP or INSTRUME in capital letters. Any other name is kept as it is."""

_STARTS = ("DATE-OBS", "DATE-BEG")
_STARTS_MJD = ("MJD-OBS", "MJD-BEG")
_TIMES_OF_THE_START = (("TIME-OBS", None), ("UTSTART", UTC), ("UT", UTC))
"""Keywords of the time of the start, if DATE-OBS holds only the day. The last two are in UTC for any TIMESYS."""
_ENDS = ("END_UTC", "DATE-END")
_DURATIONS = ("EXPTIME", "EXPOSURE", "DURATION", "ONSOURCE")
"""Durations in s. TAU_TIME has precedence over the end, and the end over these. DURATION is from ASKAP and VLITE."""

_BEAMS = (("BMAJ", "BMIN", "BPA"), ("CLEANBMJ", "CLEANBMN", "CLEANBPA"))
"""FWHM and position angle in deg; the second set is from Obit (MeerKAT, VLITE). AIPS (GMRT, WSRT) and MIRIAD write the
beam into HISTORY."""

_LOFAR_COUNTS = {"subbands": "SUBBANDS", "ncore": "NCORE", "nremote": "NREMOTE", "nintl": "NINTL"}


def read_metadata(header: Header, url: str = "", wcs: WCS | None = None, given: Given | None = None) -> ImageMetadata:
    """Read the metadata of an image from its header.

    Parameters
    ----------
    header
        Header of the image, whose first two axes are longitude and latitude.
    url
        Path of the image, for messages and for the result.
    wcs
        Projection of the image; None reads it from the header.
    given
        Values that override the header; None overrides none.

    Raises
    ------
    ImageError
        If the projection, the frequency or the start is missing or impossible, or the unit of the pixels cannot be
        converted to Jy/beam. A missing or impossible beam is no error by itself; the quality check rejects the image.
    """
    keywords, given = Keywords(header, url), given or Given()
    wcs = celestial_wcs(header, url) if wcs is None else wcs
    nx, ny = keywords.length("NAXIS1"), keywords.length("NAXIS2")
    with projection_errors(url):
        centre_ra, centre_dec = centre_position(wcs, nx, ny)
        deltax, deltay = pixel_increments(wcs, nx, ny)
        check_distortion(wcs, nx, ny)
    if not math.isfinite(centre_ra + centre_dec):
        raise ImageError("the middle of the image is not on the sky", url)
    if not (math.isfinite(deltax * deltay) and deltax * deltay):
        msg = f"the size of a pixel must be finite and not zero, got {deltax} × {deltay} deg"
        raise ImageError(msg, url)
    freq_eff, freq_bw = read_frequency(keywords, given)
    taustart_ts = given.taustart_ts or _start(keywords)
    brightness, beam = read_brightness(keywords, given), _beam(keywords, given)
    try:
        factor = brightness.jansky_per_unit(beam, freq_eff, abs(deltax * deltay))
    except ValueError as error:
        _reject_unit(keywords, given, str(error))
    return ImageMetadata(
        url=url,
        taustart_ts=taustart_ts,
        tau_time=_duration(keywords, taustart_ts) if given.tau_time is None else given.tau_time,
        freq_eff=freq_eff,
        freq_bw=freq_bw,
        stokes=_stokes(keywords) if given.stokes is None else STOKES[given.stokes],
        telescope=given.telescope or _telescope(keywords),
        beam=beam,
        centre_ra=centre_ra,
        centre_dec=centre_dec,
        deltax=deltax,
        deltay=deltay,
        nx=nx,
        ny=ny,
        unit=given.unit or keywords.text("BUNIT"),
        jansky_per_unit=factor,
        conversion=brightness.conversion(factor),
        reach=0.0 if is_restored_in_plane(wcs) else farthest_pixel(wcs, nx, ny),
        lofar=_lofar(keywords, given),
    )


def read_brightness(keywords: Keywords, given: Given) -> Brightness:
    """Read the unit of the pixels.

    Parameters
    ----------
    keywords
        Keywords of the header.
    given
        Values that override the header.

    Raises
    ------
    ImageError
        If the unit is not one of brightness, or is not certain.
    """
    unit = given.unit or keywords.text("BUNIT")
    try:
        return parse_brightness(unit)
    except ValueError as error:
        _reject_unit(keywords, given, f"{error}. Set `unit` in [[reading.given]] to the right unit")


def _reject_unit(keywords: Keywords, given: Given, reason: str) -> NoReturn:
    """Reject the image because of the unit of its pixels."""
    if given.unit:
        msg = f"reading.given.unit = {given.unit!r}: {reason}"
        raise ImageError(msg, keywords.url)
    keywords.reject("BUNIT", reason)


def _telescope(keywords: Keywords) -> str:
    """Return the name of the telescope. The name of the instrument is used only if it is a known telescope."""
    name = keywords.text("TELESCOP")
    for text in (name, keywords.text("INSTRUME")):
        for telescope, aliases in _TELESCOPES.items():
            if text.upper() in aliases:
                return telescope
    return name


def _stokes(keywords: Keywords) -> int:
    """Return the FITS code of the Stokes parameter; without a Stokes axis it is I."""
    axis = keywords.find_axis("STOKES")
    return 1 if axis is None else round(keywords.plane_values(axis[0])[0])


def _start(keywords: Keywords) -> datetime:
    """Return the start of the observation in UTC."""
    for keyword in _STARTS:
        start = keywords.date(keyword)
        if start is not None:
            is_only_day = is_day(keywords.text(keyword))
            return keywords.in_utc(_start_on(start, keywords) if is_only_day else start, keyword)
    return keywords.in_utc(_start_from_mjd(keywords))


def _start_on(day: datetime, keywords: Keywords) -> datetime:
    """Return the start on a day: its time is in another keyword, as in FITS before 1998, or is taken as midnight."""
    for keyword, zone in _TIMES_OF_THE_START:
        time = keywords.time_of_day(keyword)
        if time is not None:
            return (day + time).replace(tzinfo=zone)
    mjd = keywords.optional_number("MJD-OBS")
    # Compared before the conversion, since not every number is a date.
    if mjd is not None and 0 <= mjd - to_mjd(day) < 1:
        return from_mjd(mjd)
    _log.warning("start_taken_as_midnight", image=keywords.url, day=str(day.date()))
    return day


def _start_from_mjd(keywords: Keywords) -> datetime:
    """Return the start from a modified Julian date, without a time zone."""
    start = keywords.first_number(_STARTS_MJD)
    if start is None:
        message = "no start in the header: neither DATE-OBS nor MJD-OBS"
        keywords.reject_missing(message, (*_STARTS, *_STARTS_MJD))
    keyword, mjd = start
    try:
        return from_mjd(mjd)
    except ValueError:
        keywords.reject(keyword, "not a date")


def _duration(keywords: Keywords, taustart_ts: datetime) -> float:
    """Return the duration in s: as stated, or until the end, or the time on source; 0 if it is unknown."""
    stated = keywords.optional_number("TAU_TIME")
    if stated is not None:
        return _not_negative(keywords, "TAU_TIME", stated)
    for keyword in _ENDS:
        end = _end(keywords, keyword, taustart_ts)
        if end is not None:
            return _not_negative(keywords, keyword, (end - taustart_ts).total_seconds())
    duration = keywords.first_number(_DURATIONS)
    return 0.0 if duration is None else _not_negative(keywords, *duration)


def _end(keywords: Keywords, keyword: str, taustart_ts: datetime) -> datetime | None:
    """Return the stated end in UTC; None if the header has none, or only its day and the image starts on that day."""
    end = keywords.date(keyword)
    if end is None:
        return None
    if is_day(keywords.text(keyword)):
        time = keywords.time_of_day("TIME-END")
        if time is not None:
            end += time
        elif end.date() == taustart_ts.date():
            return None
    return to_utc(end, "UTC") if keyword == "END_UTC" else keywords.in_utc(end, keyword)


def _not_negative(keywords: Keywords, keyword: str, seconds: float) -> float:
    if not (seconds >= 0 and math.isfinite(seconds)):
        keywords.reject(keyword, f"the duration must be finite and not negative, got {seconds} s")
    return seconds


def _beam(keywords: Keywords, given: Given) -> Beam | None:
    """Return the restoring beam; None if the header has none, or an impossible one, which is logged."""
    if given.bmaj is not None and given.bmin is not None:
        return Beam(bmaj=given.bmaj, bmin=given.bmin, bpa=given.bpa or 0.0)
    numbers = _beam_numbers(keywords)
    if numbers is None:
        return None
    bmaj, bmin, bpa = numbers
    if bmin > bmaj:
        # The same ellipse, with its axes exchanged.
        bmaj, bmin, bpa = bmin, bmaj, bpa + 90
    try:
        return Beam(bmaj=bmaj, bmin=bmin, bpa=bpa)
    except ValueError as error:
        _log.warning("beam_unusable", image=keywords.url, reason=str(error))
        return None


def _beam_numbers(keywords: Keywords) -> tuple[float, float, float] | None:
    """Return axes and position angle in deg, from keywords or from the last beam in the history."""
    for major, minor, angle in _BEAMS:
        bmaj, bmin, bpa = (_degrees(keywords, keyword) for keyword in (major, minor, angle))
        if bmaj is not None and bmin is not None:
            return bmaj, bmin, bpa or 0.0
    return beam_in_history(keywords.header.get("HISTORY", ()))


def _degrees(keywords: Keywords, keyword: str) -> float | None:
    """Return an angle in deg, which is the unit unless the comment of the card names another one."""
    value, unit = keywords.optional_number(keyword), keywords.unit_in_comment(keyword)
    try:
        return value * unit_factor(unit, "deg") if value is not None and unit else value
    except ValueError:
        # Brackets may also hold other text.
        return value


def _lofar(keywords: Keywords, given: Given) -> LofarStations | None:
    """Return the stations of a LOFAR image; None unless header and settings together are complete."""
    antenna_set = given.antenna_set or keywords.text("ANTENNA")
    is_lofar = given.antenna_set is not None or keywords.text("TELESCOP").upper() == "LOFAR"
    if not (antenna_set and is_lofar):
        return None
    numbers: dict[str, Any] = {
        name: keywords.count(keyword) if getattr(given, name) is None else getattr(given, name)
        for name, keyword in _LOFAR_COUNTS.items()
    }
    numbers["subbandwidth"] = given.subbandwidth or keywords.optional_number("SUBBANDW")
    missing = [name for name, value in numbers.items() if value is None]
    if missing:
        _log.warning("lofar_stations_unknown", image=keywords.url, missing=missing)
        return None
    return LofarStations(antenna_set=antenna_set, **numbers)
