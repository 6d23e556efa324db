"""When an image was taken: the dates that FITS headers hold, as UTC."""

from __future__ import annotations

import math
import re
import warnings
from datetime import UTC, date, datetime, timedelta

import erfa  # type: ignore[import-untyped]

__all__ = ["from_mjd", "is_day", "parse_date", "parse_time_of_day", "to_utc"]

_MJD_ZERO = datetime(1858, 11, 17)  # noqa: DTZ001 (its time scale is for to_utc to say)
_UNIX_ZERO_JD = 2440587.5
_LEGACY_DATE = re.compile(r"(\d\d)/(\d\d)/(\d\d)")
_YEAR = re.compile(r"[12]\d{3}\.\d+")
_TROPICAL_YEAR_DAYS = 365.242199
_LEAP_SECOND = re.compile(r"(.*T\d\d:\d\d:)60(\.\d*)?(.*)")
_TIME_OF_DAY = re.compile(r"(\d\d?):(\d\d?):(\d\d?(?:\.\d*)?)")
_UTC_NAMES = ("", "UTC", "UT", "UT1", "GMT", "Z")
_TO_TAI = {
    "TAI": (),
    "IAT": (),
    "TT": (erfa.tttai,),
    "TDT": (erfa.tttai,),
    "ET": (erfa.tttai,),
    # TDB and TT never differ by more than 2 ms.
    "TDB": (erfa.tttai,),
    "TCG": (erfa.tcgtt, erfa.tttai),
    "TCB": (erfa.tcbtdb, erfa.tttai),
}


def parse_date(text: str) -> datetime:
    """Read a date as headers write it.

    ISO 8601 with or without a time, the two-digit ``DD/MM/YY`` of the last century, a year with its
    fraction (``2013.25``), and the list of quoted dates of which only the first counts
    (``"2013-04-29";"2013-04-30"``).

    Returns
    -------
    datetime
        With a time zone only where the text names one.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    first = _first(text)
    legacy = _LEGACY_DATE.fullmatch(first)
    if legacy:
        day, month, year = (int(part) for part in legacy.groups())
        return datetime(1900 + year, month, day)  # noqa: DTZ001 (its time scale is for to_utc to say)
    if _YEAR.fullmatch(first):
        year, fraction = int(first[:4]), float(first[4:])
        return datetime(year, 1, 1) + timedelta(days=fraction * _TROPICAL_YEAR_DAYS)  # noqa: DTZ001 (as above)
    leap = _LEAP_SECOND.fullmatch(first)
    if leap:
        return datetime.fromisoformat(f"{leap[1]}59{leap[2] or ''}{leap[3]}") + timedelta(seconds=1)
    return datetime.fromisoformat(first)


def is_day(text: str) -> bool:
    """Say whether a date, as :func:`parse_date` takes it, names a day and no time of it."""
    first = _first(text)
    if _LEGACY_DATE.fullmatch(first):
        return True
    try:
        date.fromisoformat(first)
    except ValueError:
        return False
    return True


def parse_time_of_day(text: str) -> timedelta:
    """Read ``hh:mm:ss``, with or without a fraction, as the time since midnight.

    Raises
    ------
    ValueError
        If it is something else, or no day has such a time.
    """
    match = _TIME_OF_DAY.fullmatch(_first(text))
    hours, minutes, seconds = (float(part) for part in match.groups()) if match else (math.nan,) * 3
    # A minute that ends in a leap second has 61.
    if not (hours < 24 and minutes < 60 and seconds < 61):
        msg = f"not a time of day: {text!r}"
        raise ValueError(msg)
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def _first(text: str) -> str:
    return text.split(";", maxsplit=1)[0].strip().strip('"').strip()


def from_mjd(mjd: float) -> datetime:
    """Turn a modified Julian date into a date without a time zone.

    Raises
    ------
    ValueError
        If there is no such date.
    """
    try:
        return _MJD_ZERO + timedelta(days=mjd)
    except OverflowError as error:
        msg = f"no such date: MJD {mjd}"
        raise ValueError(msg) from error


def to_utc(time: datetime, timesys: str) -> datetime:
    """Bring a time to UTC.

    The leap seconds are those that ERFA brings along: astropy's own conversion downloads a table
    when it thinks the one at hand is old.

    Parameters
    ----------
    time
        A time in the scale ``timesys``; one with a time zone is taken by that alone.
    timesys
        FITS name of the time scale; empty is UTC. UT1 is taken as UTC, from which it differs by
        less than a second.

    Raises
    ------
    ValueError
        If the time scale is not known.
    """
    if time.tzinfo is not None:
        return time.astimezone(UTC)
    scale = timesys.strip().upper()
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
        # Years so far back or ahead that the leap seconds are not known: the nearest known are used.
        warnings.simplefilter("ignore", erfa.ErfaWarning)
        day, fraction = erfa.taiutc(day, fraction)
    days = float(day) - _UNIX_ZERO_JD
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=days) + timedelta(days=float(fraction))
