"""Typed access to the keywords of a FITS header, with errors that name the file, the keyword and its value."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NoReturn

import structlog
from astropy.io.fits import VerifyError
from astropy.io.fits.card import Undefined

from trap.errors import ImageError
from trap.images.headers.times import date_and_scale, parse_date, parse_time_of_day, to_utc

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

    from astropy.io.fits import Header

__all__ = ["Keywords"]

_log = structlog.get_logger(__name__)

_MAX_AXES = 9
"""Number of axes that are searched for a kind of axis."""
_AS_WRITTEN = re.compile(r"[^=]*=\s*'?\s*(.*?)\s*'?\s*(?:\s/.*)?")
"""A card of any syntax: its value without quotes and comment is the group."""
_UNIT_IN_COMMENT = re.compile(r"\s*\[\s*([^\]]+?)\s*\]")


class Keywords:
    """The keywords of a header.

    A keyword without a value, which FITS allows, counts as missing.

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
        self._ignored: dict[str, str] = {}
        self._unreadable: set[str] = set()

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
        raise ImageError(self._described(keyword, reason), self.url)

    def reject_missing(self, reason: str, keywords: Iterable[str]) -> NoReturn:
        """Reject the image because no keyword holds a required quantity.

        Parameters
        ----------
        reason
            Reason, for a header without any of the keywords.
        keywords
            Keywords of the quantity; the message names one whose value was ignored.

        Raises
        ------
        ImageError
            Always.
        """
        ignored = [self._ignored[keyword] for keyword in keywords if keyword in self._ignored]
        raise ImageError(ignored[0] if ignored else reason, self.url)

    def ignore(self, keyword: str, reason: str) -> None:
        """Treat an optional keyword as missing because of its value, with one warning.

        Parameters
        ----------
        keyword
            The keyword, whose value becomes part of the warning.
        reason
            Reason, or the condition that the value violates.
        """
        if keyword not in self._ignored:
            self._ignored[keyword] = self._described(keyword, reason)
            _log.warning("keyword_ignored", image=self.url, reason=self._ignored[keyword])

    def value(self, keyword: str) -> Any:  # noqa: ANN401 (text, a number or a truth value)
        """Return the value; None if the keyword is missing or has no value.

        If the card violates the syntax of FITS, this is its text as written.
        """
        try:
            value = self.header.get(keyword)
        except (VerifyError, ValueError):
            return self._as_written(keyword)
        return None if isinstance(value, Undefined) else value

    def text(self, keyword: str) -> str:
        """Return the value as text; empty if the keyword is missing."""
        value = self.value(keyword)
        return "" if value is None else str(value).strip()

    def number(self, keyword: str) -> float | None:
        """Return the value as a number; None if the keyword is missing or empty."""
        text = self.text(keyword)
        try:
            return float(text) if text else None
        except ValueError:
            self.reject(keyword, "not a number")

    def optional_number(self, keyword: str) -> float | None:
        """Return the value as a number; None, with a warning, if it is anything else."""
        try:
            return self.number(keyword)
        except ImageError:
            self.ignore(keyword, "not a number")
            return None

    def unit_in_comment(self, keyword: str) -> str:
        """Return the unit in brackets at the beginning of the comment, as FITS recommends; empty without one."""
        if keyword not in self.header:
            return ""
        try:
            match = _UNIT_IN_COMMENT.match(str(self.header.comments[keyword]))
        except (VerifyError, ValueError):
            return ""
        return match[1] if match else ""

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
        """Return the value as a non-negative integer; None if it is missing, or text, which gives a warning."""
        value = self.optional_number(keyword)
        if value is not None and not (value >= 0 and value.is_integer()):
            self.reject(keyword, "not a non-negative integer")
        return None if value is None else int(value)

    def first_number(self, keywords: Iterable[str]) -> tuple[str, float] | None:
        """Return the first of the keywords that has a number, and the number; None without any."""
        for keyword in keywords:
            value = self.optional_number(keyword)
            if value is not None:
                return keyword, value
        return None

    def date(self, keyword: str) -> datetime | None:
        """Return the value as a date; None if the keyword is missing, or, with a warning, if it is anything else."""
        text = self.text(keyword)
        try:
            return parse_date(text) if text else None
        except (ValueError, OverflowError):
            self.ignore(keyword, "not a date")
            return None

    def time_of_day(self, keyword: str) -> timedelta | None:
        """Return the value as the time since midnight; None if the keyword is missing or holds anything else."""
        try:
            return parse_time_of_day(self.text(keyword))
        except ValueError:
            return None

    def in_utc(self, time: datetime, keyword: str = "") -> datetime:
        """Convert a time of this header to UTC.

        Parameters
        ----------
        time
            The time.
        keyword
            Keyword of the time, whose value may end with a time scale; empty if it has none. Without a scale there,
            the scale is the one of TIMESYS.
        """
        scale = date_and_scale(self.text(keyword))[1] if keyword else ""
        try:
            return to_utc(time, scale or self.text("TIMESYS"))
        except ValueError as error:
            if not scale and "TIMESYS" in self._unreadable:
                self.ignore("TIMESYS", "cannot be read, taken as UTC")
                return to_utc(time, "UTC")
            self.reject(keyword if scale else "TIMESYS", str(error))
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
        names = f"CDELT{axis}", f"CD{axis}_{axis}"
        step = next(filter(None, map(self.optional_number, names)), 0.0)
        reference = self.number(f"CRPIX{axis}")
        offset = 0.0 if reference is None else 1.0 - reference
        if offset and not step:
            # Without the increment, the value at the first plane is unknown.
            for name in self._ignored.keys() & names:
                self.reject(name, "not a number")
        value = self.require_number(f"CRVAL{axis}") + offset * step
        if not math.isfinite(value + step):
            self.reject(f"CRVAL{axis}", f"values along the axis must be finite, got {value} in steps of {step}")
        return value, step

    def _as_written(self, keyword: str) -> str:
        """Return the text of a card that astropy cannot parse, with a warning for each keyword."""
        # The public attribute repairs the card, and raises an error if it cannot.
        image = self.header.cards[keyword]._image  # noqa: SLF001
        match = _AS_WRITTEN.fullmatch(str(image).rstrip())
        text = "".join(filter(str.isprintable, match[1])) if match else ""
        if keyword not in self._unreadable:
            self._unreadable.add(keyword)
            _log.warning("card_unreadable", image=self.url, keyword=keyword, text=text)
        return text

    def _described(self, keyword: str, reason: str) -> str:
        return f"{keyword} = {self.value(keyword)!r}: {reason}"
