"""Dates and times in FITS headers, converted to UTC."""

from __future__ import annotations

import math
import re
import warnings
from datetime import UTC, date, datetime, timedelta

import erfa  # type: ignore[import-untyped]

__all__ = ["date_and_scale", "from_mjd", "from_utc", "is_day", "parse_date", "parse_time_of_day", "to_mjd", "to_utc"]

_MJD_ZERO = datetime(1858, 11, 17)  # noqa: DTZ001 (to_utc applies the time scale)
_UNIX_ZERO_JD = 2440587.5
_LEGACY_DATE = re.compile(r"(\d\d)/(\d\d)/(\d\d)")
_YEAR = re.compile(r"[12]\d{3}\.\d+")
_TROPICAL_YEAR_DAYS = 365.242199
_LEAP_SECOND = re.compile(r"(.*T\d\d:\d\d:)60(\.\d*)?(.*)")
_TIME_OF_DAY = re.compile(r"(\d\d?):(\d\d?):(\d\d?(?:\.\d*)?)")
_SCALE = re.compile(r"([A-Z]+\d?) *(?:\([^()]*\))?", re.IGNORECASE)
"""A time scale, with or without its realization: ``TT(BIPM)``."""
_DATE_AND_SCALE = re.compile(
    r"(.*\d\.?) *(?:\(([A-Z]+\d?(?:\([^()]*\))?)\)|([A-Y][A-Z]+\d?(?:\([^()]*\))?))", re.IGNORECASE
)
_UTC_NAMES = ("", "UTC", "UT", "UT0", "UT1", "UT2", "GMT", "Z")
_GPS_BEHIND_TAI = 19.0 / 86400


def _gps_to_tai(day: float, fraction: float) -> tuple[float, float]:
    """Convert the time of GPS satellites, which is 19 s behind TAI for ever."""
    return day, fraction + _GPS_BEHIND_TAI


_TO_TAI = {
    "TAI": (),
    "IAT": (),
    "GPS": (_gps_to_tai,),
    "TT": (erfa.tttai,),
    "TDT": (erfa.tttai,),
    "ET": (erfa.tttai,),
    # TDB and TT never differ by more than 2 ms.
    "TDB": (erfa.tttai,),
    "TCG": (erfa.tcgtt, erfa.tttai),
    "TCB": (erfa.tcbtdb, erfa.tttai),
}


def parse_date(text: str) -> datetime:
    """Parse a date in one of the forms that headers have.

    These are ISO 8601 with or without a time, the two-digit ``DD/MM/YY`` of the last century, a year with
    a fraction (``2013.25``), and a list of quoted dates, whose first is used (``"2013-04-29";"2013-04-30"``). A time
    scale after the date is ignored; see :func:`date_and_scale`.

    Returns
    -------
    datetime
        It has a time zone only if the text names one.

    Raises
    ------
    ValueError
        If the text has another form.
    """
    first = _first(text)
    legacy = _LEGACY_DATE.fullmatch(first)
    if legacy:
        day, month, year = (int(part) for part in legacy.groups())
        return datetime(1900 + year, month, day)  # noqa: DTZ001 (to_utc applies the time scale)
    if _YEAR.fullmatch(first):
        year, fraction = int(first[:4]), float(first[4:])
        return datetime(year, 1, 1) + timedelta(days=fraction * _TROPICAL_YEAR_DAYS)  # noqa: DTZ001 (as above)
    leap = _LEAP_SECOND.fullmatch(first)
    if leap:
        return datetime.fromisoformat(f"{leap[1]}59{leap[2] or ''}{leap[3]}") + timedelta(seconds=1)
    return datetime.fromisoformat(first.rstrip("."))


def date_and_scale(text: str) -> tuple[str, str]:
    """Split a date from a time scale after it, with or without brackets: ``1998-12-31T12:00:00(UTC)``.

    Returns
    -------
    date
        The text without the scale.
    scale
        Name of the scale; empty if the text has none.
    """
    match = _DATE_AND_SCALE.fullmatch(text.strip())
    return (match[1].strip(), match[2] or match[3]) if match else (text, "")


def is_day(text: str) -> bool:
    """Return whether a date, in a form of :func:`parse_date`, is a day without a time."""
    first = _first(text)
    if _LEGACY_DATE.fullmatch(first):
        return True
    try:
        date.fromisoformat(first)
    except ValueError:
        return False
    return True


def parse_time_of_day(text: str) -> timedelta:
    """Parse ``hh:mm:ss``, with or without a fraction, as the time since midnight.

    Raises
    ------
    ValueError
        If the text has another form, or is not a time of day.
    """
    match = _TIME_OF_DAY.fullmatch(_first(text))
    hours, minutes, seconds = (float(part) for part in match.groups()) if match else (math.nan,) * 3
    # A minute with a leap second has 61 seconds.
    if not (hours < 24 and minutes < 60 and seconds < 61):
        msg = f"not a time of day: {text!r}"
        raise ValueError(msg)
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def _first(text: str) -> str:
    """Return the first date of a list, without quotes."""
    return date_and_scale(text.split(";", maxsplit=1)[0].strip().strip('"'))[0].strip()


def from_mjd(mjd: float) -> datetime:
    """Convert a modified Julian date to a date without a time zone.

    Raises
    ------
    ValueError
        If the year is outside 1 to 9999, or the date is not a number.
    """
    try:
        return _MJD_ZERO + timedelta(days=mjd)
    except OverflowError as error:
        msg = f"no date in the years 1 to 9999: MJD {mjd}"
        raise ValueError(msg) from error


def to_mjd(time: datetime) -> float:
    """Convert a date without a time zone to a modified Julian date."""
    return (time - _MJD_ZERO) / timedelta(days=1)


def to_utc(time: datetime, timesys: str) -> datetime:
    """Convert a time to UTC.

    Leap seconds are taken from ERFA's built-in table; astropy's conversion downloads a table if the
    local one is old.

    Parameters
    ----------
    time
        Time in the scale ``timesys``. If it has a time zone, the scale is ignored.
    timesys
        FITS name of the time scale, in any case; a realization in brackets, as in ``TT(BIPM)``, is ignored, since it
        differs from the scale by less than 0.1 ms. Empty is UTC. UT1 is taken as UTC, and differs from it by less than
        a second.

    Raises
    ------
    ValueError
        If the time scale is unknown.
    """
    if time.tzinfo is not None:
        return time.astimezone(UTC)
    match = _SCALE.fullmatch(timesys.strip())
    scale = match[1].upper() if match else timesys.strip()
    if scale in _UTC_NAMES:
        return time.replace(tzinfo=UTC)
    if scale not in _TO_TAI:
        msg = f"unknown time scale {timesys!r}"
        raise ValueError(msg)
    unix = time.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    day, fraction = _UNIX_ZERO_JD + unix.days, (unix - timedelta(days=unix.days)) / timedelta(days=1)
    for convert in _TO_TAI[scale]:
        day, fraction = convert(day, fraction)
    with warnings.catch_warnings():
        # For years outside its table of leap seconds, ERFA uses the nearest year in it.
        warnings.simplefilter("ignore", erfa.ErfaWarning)
        day, fraction = erfa.taiutc(day, fraction)
    days = float(day) - _UNIX_ZERO_JD
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=days) + timedelta(days=float(fraction))


def from_utc(time: datetime, timesys: str) -> datetime:
    """Convert a time in UTC to another time scale; the result has no time zone.

    Parameters
    ----------
    time
        Time in UTC.
    timesys
        FITS name of the time scale, as for :func:`to_utc`.

    Raises
    ------
    ValueError
        If the time scale is unknown.
    """
    written = time.replace(tzinfo=None)
    for _ in range(2):
        # The difference of two scales changes slowly, except where a leap second begins.
        written += time - to_utc(written, timesys)
    return written
