"""Typed access to the keywords of a FITS header, with errors that name the file, the keyword and its value."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NoReturn

from astropy.io.fits import VerifyError
from astropy.io.fits.card import Undefined

from trap.errors import ImageError
from trap.images.headers.times import parse_date, parse_time_of_day, to_utc

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

    from astropy.io.fits import Header

__all__ = ["Keywords"]

_MAX_AXES = 9
"""Number of axes that are searched for a kind of axis."""


class Keywords:
    """The keywords of a header.

    Parameters
    ----------
    header
        FITS header.
    url
        Path of the image, for messages.
    """

    def __init__(self, header: Header, url: str) -> None:
        self.header = header
        self.url = url

    def reject(self, keyword: str, reason: str) -> NoReturn:
        """Reject the image because of the value of a keyword.

        Parameters
        ----------
        keyword
            The keyword, whose value becomes part of the message.
        reason
            Reason, or the condition that the value violates.

        Raises
        ------
        ImageError
            Always.
        """
        msg = f"{keyword} = {self.header.get(keyword)!r}: {reason}"
        raise ImageError(msg, self.url)

    def text(self, keyword: str) -> str:
        """Return the value as text; empty if the keyword is missing."""
        try:
            value = self.header.get(keyword, "")
        except (VerifyError, ValueError) as error:
            msg = f"{keyword} cannot be read: {' '.join(str(error).split())}"
            raise ImageError(msg, self.url) from error
        return "" if isinstance(value, Undefined) else str(value).strip()

    def number(self, keyword: str) -> float | None:
        """Return the value as a number; None if the keyword is missing or empty."""
        text = self.text(keyword)
        try:
            return float(text) if text else None
        except ValueError:
            self.reject(keyword, "not a number")

    def require_number(self, keyword: str) -> float:
        """Return the value as a number; the keyword is required."""
        value = self.number(keyword)
        if value is None:
            msg = f"no {keyword} in the header"
            raise ImageError(msg, self.url)
        return value

    def length(self, keyword: str) -> int:
        """Return the value as the length of an axis; the keyword is required."""
        value = self.require_number(keyword)
        if not (value >= 1 and value.is_integer()):
            self.reject(keyword, "not the length of an axis")
        return int(value)

    def count(self, keyword: str) -> int | None:
        """Return the value as a non-negative integer; None if the keyword is missing or empty."""
        value = self.number(keyword)
        if value is not None and not (value >= 0 and value.is_integer()):
            self.reject(keyword, "not a non-negative integer")
        return None if value is None else int(value)

    def first_number(self, keywords: Iterable[str]) -> tuple[str, float] | None:
        """Return the first of the keywords that has a value, with its number; None if all are missing or empty."""
        for keyword in keywords:
            value = self.number(keyword)
            if value is not None:
                return keyword, value
        return None

    def date(self, keyword: str) -> datetime | None:
        """Return the value as a date; None if the keyword is missing or empty."""
        text = self.text(keyword)
        try:
            return parse_date(text) if text else None
        except (ValueError, OverflowError):
            self.reject(keyword, "not a date")

    def time_of_day(self, keyword: str) -> timedelta | None:
        """Return the value as the time since midnight; None if the keyword is missing or holds anything else."""
        try:
            return parse_time_of_day(self.text(keyword))
        except ValueError:
            return None

    def in_utc(self, time: datetime) -> datetime:
        """Convert a time of this header, in the scale of its TIMESYS, to UTC."""
        scale = self.text("TIMESYS")
        try:
            return to_utc(time, scale)
        except ValueError as error:
            self.reject("TIMESYS", str(error))
        except OverflowError as error:
            msg = f"no time in the years 1 to 9999 in UTC: {time}"
            raise ImageError(msg, self.url) from error

    def find_axis(self, *kinds: str) -> tuple[int, str] | None:
        """Return number and kind of the first axis after the second whose CTYPE begins with one of the kinds."""
        for axis in range(3, _MAX_AXES + 1):
            ctype = self.text(f"CTYPE{axis}").upper()
            for kind in kinds:
                if ctype.startswith(kind):
                    return axis, kind
        return None

    def plane_values(self, axis: int) -> tuple[float, float]:
        """Return the value of an axis at its first plane, and its increment, which is 0 if it is missing."""
        step = self.number(f"CDELT{axis}") or self.number(f"CD{axis}_{axis}") or 0.0
        reference = self.number(f"CRPIX{axis}")
        offset = 0.0 if reference is None else 1.0 - reference
        value = self.require_number(f"CRVAL{axis}") + offset * step
        if not math.isfinite(value + step):
            self.reject(f"CRVAL{axis}", f"values along the axis must be finite, got {value} in steps of {step}")
        return value, step
