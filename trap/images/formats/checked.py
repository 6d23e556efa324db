"""Files for astropy, plain or compressed, whose headers and sizes are checked before astropy acts on them.

astropy computes the length of the pixels from the values of cards without checking them. If there are more axes than
FITS allows, it builds endless lists. If a value is text, the text is repeated as often as the image has pixels, until
memory is exhausted. A header without an end also fills the memory, and a small compressed file can hold a thousand
times its size.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zipfile
from typing import TYPE_CHECKING, cast

from trap.errors import UnreadableImageError
from trap.images.formats.card_repairs import repaired

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["is_packed", "open_checked"]

MAX_HEADERS = 8 << 20
"""bytes — maximum length of all headers of a file: 100,000 cards. A long history has some ten thousand."""
MAX_UNPACKED = 8 << 30
"""bytes — maximum distance of a header or a plane from the beginning of the unpacked file."""

_SIZE_CARD = re.compile(
    rb"(?:HIERARCH +)?(Z?NAXIS\d*|ZTILE\d*|Z?[PG]COUNT|Z?BITPIX|TFIELDS|THEAP|WCSAXES[A-Z]?) *= *('?)([^'/]*)",
    re.IGNORECASE,
)
"""A card that determines the length of the pixels or of lists: keyword, opening quote of a text, value."""
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[EDed][-+]?\d+)?")
_MAX_AXES = 999
"""Largest number of axes, and of columns of a table, that FITS allows."""
_CARD = 80
"""bytes — length of a card."""
_HEADERS = (b"SIMPLE  =", b"XTENSION=")
"""First bytes of the headers of a file and of an extension."""
_PLAIN = (b"SIMPLE", b"XTENSI")
"""First bytes of a file that is not compressed; astropy also accepts files that begin with an extension."""


def is_packed(path: Path) -> bool:
    """Return whether a file is compressed as a whole, or no FITS file.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    return _beginning(path) not in _PLAIN


def open_checked(path: Path) -> io.BufferedIOBase:
    """Open a file for reading with checked headers: plain, or compressed by gzip, bzip2, xz or zip.

    Reading raises an ``OverflowError`` if the headers are too long, if a card that sets a size is no number or out of
    range, or if the file must be unpacked beyond :data:`MAX_UNPACKED`.

    Raises
    ------
    OSError
        If the file cannot be read.
    UnreadableImageError
        If a zip archive does not hold exactly one file.
    """
    start = _beginning(path)
    for magic, kind in _PACKED.items():
        if start.startswith(magic):
            return kind(str(path))
    if start.startswith(b"PK\3\4"):
        return _open_zip(path)
    return _CheckedFile(io.FileIO(path))


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(_PLAIN[0]))


class _Checked:
    """A mix-in for files that checks headers while astropy reads them, block by block."""

    _is_in_header = False
    _header_length = 0

    def read(self, size: int | None = -1) -> bytes:
        """Read bytes, and check them if they are part of a header."""
        content: bytes = super().read(size)  # type: ignore[misc]
        if content.startswith(_HEADERS):
            self._is_in_header = True
        if self._is_in_header:
            self._header_length += len(content)
            if self._header_length > MAX_HEADERS:
                msg = f"the headers have no end, or are longer than {MAX_HEADERS / 1e6:.1f} MB"
                raise OverflowError(msg)
            content = repaired(content)
            self._is_in_header = _check_cards(content)
        return content


class _CheckedFile(_Checked, io.BufferedReader):
    """A file that is not compressed, with checked headers."""


class _Packed(_Checked):
    """A mix-in for compressed files: nothing is unpacked before it is read, and nothing far from the beginning.

    astropy moves behind the pixels when it has read a header, which would unpack them.
    """

    _place = 0

    def read(self, size: int | None = -1) -> bytes:
        """Read bytes from the place that was moved to, and check them if they are part of a header."""
        _check_distance(self._place + max(size or 0, 0))
        super().seek(self._place)  # type: ignore[misc]
        content = super().read(size)
        self._place += len(content)
        return content

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a place; a move to the end is none, since only unpacking everything would find the end."""
        if whence != io.SEEK_END:
            self._place = offset + (self._place if whence == io.SEEK_CUR else 0)
        return self._place

    def tell(self) -> int:
        """Return the place of the next byte to read."""
        return self._place


class _GzipFile(_Packed, gzip.GzipFile):
    """A file that gzip compressed."""


class _Bzip2File(_Packed, bz2.BZ2File):
    """A file that bzip2 compressed."""


class _XzFile(_Packed, lzma.LZMAFile):
    """A file that xz compressed."""


class _ZipMember(_Packed, io.BufferedReader):
    """The file of a zip archive."""


_PACKED: dict[bytes, Callable[[str], io.BufferedIOBase]] = {
    b"\x1f\x8b": _GzipFile,
    b"BZh": _Bzip2File,
    b"\xfd7zXZ": _XzFile,
}
"""Kinds of compressed files by their first bytes."""


def _open_zip(path: Path) -> _ZipMember:
    """Open the only file of a zip archive; it closes the archive when it is closed itself."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if len(names) != 1:
            msg = f"the zip archive holds {len(names)} files instead of one"
            raise UnreadableImageError(msg, str(path))
        # The open member keeps the archive's file open.
        return _ZipMember(cast("io.RawIOBase", archive.open(names[0])))


def _check_distance(place: int) -> None:
    if place > MAX_UNPACKED:
        msg = f"the file would have to be unpacked up to {place / 1e9:.1f} GB, more than {MAX_UNPACKED / 1e9:.1f} GB"
        raise OverflowError(msg)


def _check_cards(block: bytes) -> bool:
    """Check the cards of a block that set the size of the pixels; return whether the header continues after it."""
    for start in range(0, len(block), _CARD):
        card = block[start : start + _CARD]
        if card.rstrip() == b"END":
            return False
        if size := _SIZE_CARD.match(card):
            _check_size(size[1].decode().upper(), size[3].decode("ascii", "replace").strip(), is_text=bool(size[2]))
    return True


def _check_size(keyword: str, value: str, *, is_text: bool) -> None:
    """Raise an error if the value of a card that sets the size of the pixels is text, or a number out of range."""
    # An OverflowError, since astropy handles an OSError or a ValueError like the end of the file.
    if is_text:
        msg = f"{keyword} = {value!r}: not a number"
        raise OverflowError(msg)
    if not _NUMBER.fullmatch(value) or keyword.endswith("BITPIX"):
        return  # astropy refuses other values itself
    # Fortran writes the exponent of a double-precision number with a D.
    number = float(value.upper().replace("D", "E"))
    if keyword in ("NAXIS", "ZNAXIS", "TFIELDS") or keyword.startswith("WCSAXES"):
        if not 0 <= number <= _MAX_AXES:
            counted = "columns" if keyword == "TFIELDS" else "axes"
            msg = f"{keyword} = {value}: not a number of {counted} (0 to {_MAX_AXES})"
            raise OverflowError(msg)
    elif number < 0:
        msg = f"{keyword} = {value}: not a length"
        raise OverflowError(msg)
