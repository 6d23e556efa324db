"""The keywords of a FITS header, read by type, with errors that name file, keyword and value."""

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

_HIGHEST_AXIS = 9


class Keywords:
    """The keywords of one header.

    Parameters
    ----------
    header
        The header.
    url
        The image, for messages.
    """

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
        except (VerifyError, ValueError) as error:
            msg = f"{keyword} cannot be read: {' '.join(str(error).split())}"
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

    def length(self, keyword: str) -> int:
        """Value as the length of an axis, which must be there."""
        value = self.require_number(keyword)
        if not (value >= 1 and value.is_integer()):
            self.reject(keyword, "not the length of an axis")
        return int(value)

    def count(self, keyword: str) -> int | None:
        """Value as a number of things; None where the keyword is missing or empty."""
        value = self.number(keyword)
        if value is not None and not (value >= 0 and value.is_integer()):
            self.reject(keyword, "not a number of things")
        return None if value is None else int(value)

    def first_number(self, keywords: Iterable[str]) -> tuple[str, float] | None:
        """First of some keywords that holds a number, and the number."""
        for keyword in keywords:
            value = self.number(keyword)
            if value is not None:
                return keyword, value
        return None

    def date(self, keyword: str) -> datetime | None:
        """Value as a date; None where the keyword is missing or empty."""
        text = self.text(keyword)
        try:
            return parse_date(text) if text else None
        except (ValueError, OverflowError):
            self.reject(keyword, "not a date")

    def time_of_day(self, keyword: str) -> timedelta | None:
        """Value as the time since midnight; None where the keyword is missing, or holds something else."""
        try:
            return parse_time_of_day(self.text(keyword))
        except ValueError:
            return None

    def in_utc(self, time: datetime) -> datetime:
        """Bring a time of this header to UTC."""
        scale = self.text("TIMESYS")
        try:
            return to_utc(time, scale)
        except ValueError as error:
            self.reject("TIMESYS", str(error))
        except OverflowError as error:
            msg = f"the year of {time} is impossible"
            raise ImageError(msg, self.url) from error

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
        value = self.require_number(f"CRVAL{axis}") + offset * step
        if not math.isfinite(value + step):
            self.reject(f"CRVAL{axis}", f"the axis holds impossible values ({value}, in steps of {step})")
        return value, step
