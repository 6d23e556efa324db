"""Cards of a header that define the projection of its first two axes, in the spelling of the FITS standard.

WCSLIB parses the cards of all axes at once, and fails for a fault in any of them: a unit in capital letters, a
frequency axis that refers to a table, a number in quotes. It therefore gets only the cards of the two axes of the sky,
each checked and with the right type.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from trap.errors import ImageError
from trap.images.headers.axis_units import angle_unit
from trap.images.headers.keywords import Keywords

if TYPE_CHECKING:
    from collections.abc import Iterator

    from astropy.io.fits import Header

    from trap.typing import Card

__all__ = ["projection_cards"]

_TEXT = re.compile(r"C(?:TYPE|UNIT)[12]|RADE(?:CS|S)YS|C[PQ]DIS[12]")
_NUMBER = re.compile(
    r"C(?:RVAL|RPIX|DELT|ROTA)[12]|(?:PC|CD)[12]_[12]|PC00[12]00[12]|PV[12]_\d+|PROJP\d+|LONPOLE|LATPOLE|EQUINOX|EPOCH"
    r"|(?:A|B|AP|BP)_(?:DMAX|\d+_\d+)|C[PQ]ERR[12]"
)
"""Keywords of the projection; SIP and other distortions come last."""
_ORDER = re.compile(r"(?:A|B|AP|BP)_ORDER")
_OF_A_DISTORTION = re.compile(r"D[PQ][12]\..*")
"""Keywords whose values are pairs of a field and a number; astropy adds the field to the keyword."""
_COUPLING = re.compile(r"(?:PC|CD)(?:([12])_([3-9])|([3-9])_([12]))")
"""Elements of the matrix that mix an axis of the sky with another."""
_REQUIRED = re.compile(r"C(?:RVAL|RPIX|DELT)[12]")
_MAX_SIP_ORDER = 9
_EQUINOXES = ("EQUINOX", "EPOCH")
_EPOCH_LETTER = re.compile(r"[JB](?=\d)")


def projection_cards(header: Header, url: str = "") -> tuple[Card, ...]:
    """Return the keywords and values of the projection of the first two axes.

    Keywords without a value are left out.

    Parameters
    ----------
    header
        Header of the image.
    url
        Path of the image, for messages.

    Raises
    ------
    ImageError
        If a value is impossible, or an axis of the sky is mixed with another axis.
    """
    keywords = Keywords(header, url)
    lengths = [(f"NAXIS{axis}", keywords.length(f"NAXIS{axis}")) for axis in (1, 2) if keywords.text(f"NAXIS{axis}")]
    return ("NAXIS", 2), *lengths, *_cards(keywords)


def _cards(keywords: Keywords) -> Iterator[Card]:
    """Yield the cards of the projection; the first of several cards with a keyword counts."""
    is_icrs = keywords.text("RADESYS").upper() == "ICRS"
    for keyword in dict.fromkeys(keywords.header):
        if _OF_A_DISTORTION.fullmatch(keyword):
            card = keywords.header.cards[keyword]
            yield card.rawkeyword, card.rawvalue
        elif keyword in _EQUINOXES and is_icrs:
            # ICRS has no equinox.
            continue
        elif _TEXT.fullmatch(keyword):
            if text := keywords.text(keyword):
                yield keyword, _checked_text(keywords, keyword, text)
        elif _NUMBER.fullmatch(keyword) or _ORDER.fullmatch(keyword):
            if keywords.text(keyword):
                yield keyword, _checked_number(keywords, keyword)
            elif _REQUIRED.fullmatch(keyword) and not (keyword.startswith("CDELT") and "CD1_1" in keywords.header):
                msg = f"{keyword} has no value"
                raise ImageError(msg, keywords.url)
        elif _COUPLING.fullmatch(keyword) and keywords.number(keyword):
            keywords.reject(keyword, "the axes of the sky must not be mixed with other axes")


def _checked_text(keywords: Keywords, keyword: str, text: str) -> str:
    """Return a text as the standard writes it; reject a unit that is no angle, and a table of coordinates."""
    if keyword.startswith("CUNIT"):
        try:
            return angle_unit(text)
        except ValueError as error:
            keywords.reject(keyword, str(error))
    if keyword.startswith("CTYPE") and text.upper().endswith("-TAB"):
        keywords.reject(keyword, "coordinates in a table cannot be read")
    return text.upper()


def _checked_number(keywords: Keywords, keyword: str) -> float:
    """Return a number, which must be finite; the order of a polynomial as an integer within its limits."""
    text = keywords.text(keyword)
    if keyword in _EQUINOXES:
        text = _EPOCH_LETTER.sub("", text)
    try:
        value = float(text)
    except ValueError:
        keywords.reject(keyword, "not a number")
    if not math.isfinite(value):
        keywords.reject(keyword, "must be finite")
    if not _ORDER.fullmatch(keyword):
        return value
    if not (value.is_integer() and 0 <= value <= _MAX_SIP_ORDER):
        keywords.reject(keyword, f"not the order of a polynomial (0 to {_MAX_SIP_ORDER})")
    return int(value)
