"""Repair of cards that astropy acts on when it opens a file, although the image does not need them.

A card without a value, which FITS allows, or one that violates the syntax of FITS makes astropy reject the whole file,
if it is among the cards that describe the file. Cards of the observation are read by
:class:`trap.images.headers.keywords.Keywords`, which copes with both.
"""

from __future__ import annotations

import re

__all__ = ["repaired"]

_CARD = 80
"""bytes — length of a card."""
_EMPTY = re.compile(
    rb"(?:BSCALE|BZERO|BLANK|PCOUNT|GCOUNT|GROUPS|EXTEND|EXTVER|EXTLEVEL|EXTNAME|INHERIT|CHECKSUM|DATASUM) *= *(?:/.*)?"
)
"""A card without a value, whose default is right for every image."""
_OPTIONAL = re.compile(rb"(?:GROUPS|EXTEND|EXTVER|EXTLEVEL|EXTNAME|INHERIT|CHECKSUM|DATASUM) *=")
"""A card that no image needs."""
_BLANK, _SCALE = b"BLANK   =", re.compile(rb"(BSCALE|BZERO) *= *([^/]*)")
_NUMBER = re.compile(rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[EDed][-+]?\d+)?")
_VALUE = re.compile(rb"[^=]*= *(?:'(?:[^']|'')*'|[TF]|[-+.\dEDed]+) *(?:/.*)?")
"""A card whose value has a syntax of FITS."""


def repaired(block: bytes) -> bytes:
    """Return a block of a header with blank cards in place of optional cards that have no value or no syntax.

    Raises
    ------
    OverflowError
        If the scale of the pixels is not a number; astropy handles other errors like the end of the file.
    """
    if not _begins_with_any(block):
        return block
    cards = [block[start : start + _CARD] for start in range(0, len(block), _CARD)]
    return b"".join(map(_repaired_card, cards))


def _begins_with_any(block: bytes) -> bool:
    """Return whether a block may hold a card to repair; most do not, and are not taken apart."""
    return any(
        name in block for name in (b"BSCALE", b"BZERO", b"BLANK", b"COUNT", b"GROUPS", b"EXT", b"INHERIT", b"SUM")
    )


def _repaired_card(card: bytes) -> bytes:
    """Return a card, or a blank one in its place, or one with an unreadable value that is refused with the pixels."""
    text = card.rstrip()
    if _EMPTY.fullmatch(text):
        return b" " * len(card)
    if (scale := _SCALE.match(text)) and not _NUMBER.fullmatch(scale[2].strip()):
        msg = f"{scale[1].decode()} = {scale[2].decode('ascii', 'replace').strip()}: not a number"
        raise OverflowError(msg)
    if _VALUE.fullmatch(text):
        return card
    if _OPTIONAL.match(text):
        return b" " * len(card)
    # The pixels of an integer image without a readable BLANK are refused when they are read.
    return (_BLANK + b" 'unreadable'").ljust(len(card)) if text.startswith(_BLANK) else card
