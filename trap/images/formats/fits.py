"""FITS files: the header without the pixels, the pixels as the pipeline wants them.

An image is the two axes of the sky in the first unit that has two axes, or in the unit that the settings
name; which plane of further axes (frequency, Stokes) is taken, the settings say too.
"""

from __future__ import annotations

import gzip
import io
import lzma
import math
import re
import warnings
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits
from astropy.units import Unit
from astropy.utils.exceptions import AstropyUserWarning

from trap.config import DEFAULT_READING
from trap.errors import ImageError, UnreadableImageError
from trap.images.formats.files import hash_file, reading
from trap.images.headers.planes import choose_plane

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from trap.config import ReadingConfig

__all__ = ["find_image", "hash_content", "map_plane", "read_header", "read_plane", "write_map"]

_N_AXES = 2
_OF_THE_PIXELS = ("BSCALE", "BZERO", "BLANK", "DATAMIN", "DATAMAX", "CHECKSUM", "DATASUM", "EXTNAME")
_DTYPES = {8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
_SIZE_CARD = re.compile(
    rb"(?:HIERARCH +)?(Z?NAXIS\d*|ZTILE\d*|Z?[PG]COUNT|Z?BITPIX|TFIELDS) *= *('?)([^'/]*)", re.IGNORECASE
)
"""A card from which the length of the pixels is computed: keyword, quote of a text, value."""
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[EDed][-+]?\d+)?")
_MAX_AXES = 999
_CARD = 80
_HEADERS = (b"SIMPLE  =", b"XTENSION=")
"""First bytes of the header of a file, and of an extension."""
_GZIP = b"\x1f\x8b"

hash_content = hash_file


def read_header(path: Path, settings: ReadingConfig = DEFAULT_READING) -> fits.Header:
    """Read the header of the image in a file; no pixel is read.

    Returns
    -------
    The first two axes are those of the sky. A beam that is in a table of beams is in the header too.

    Raises
    ------
    UnreadableImageError
        If the file is missing or not FITS.
    ImageError
        If it holds no image, or not the one asked for.
    TransientError
        If the file system failed in a way that may pass; so for all functions here.
    """
    with _open(path) as hdus:
        hdu = find_image(hdus, str(path), settings)
        plane = choose_plane(hdu.header, str(path), settings)
        header = plane.header(hdu.header)
        if header.get("CASAMBM") is True and "BMAJ" not in header:
            header.update(_beam_of_plane(hdus, hdu.header, plane.index))
        return header


def read_plane(path: Path, settings: ReadingConfig = DEFAULT_READING) -> NDArray[Any]:
    """Read a plane of the image in a file: decompressed, scaled, blank pixels as NaN.

    Returns
    -------
    (ny, nx)
        In whatever type the values need.

    Raises
    ------
    UnreadableImageError
        If the file is missing, not FITS, or ends before its pixels do.
    """
    with _open(path) as hdus:
        hdu = find_image(hdus, str(path), settings)
        plane = choose_plane(hdu.header, str(path), settings)
        try:
            return np.array(plane.turned(hdu.section[plane.slices]))
        except (EOFError, ValueError, TypeError, zlib.error) as error:
            msg = f"the pixels cannot be read, the file may be truncated: {' '.join(str(error).split())}"
            raise UnreadableImageError(msg, str(path)) from error


def map_plane(path: Path, settings: ReadingConfig = DEFAULT_READING) -> NDArray[Any] | None:
    """Map a plane of an image into memory, so that only what is looked at is read.

    Returns
    -------
    (ny, nx) or None
        Read-only, in the byte order of the file. None where the pixels have to be computed:
        compressed files, scaled or blanked integers.

    Raises
    ------
    UnreadableImageError
        If the file is missing, not FITS, or ends before its pixels do.
    """
    with _open(path) as hdus:
        hdu = find_image(hdus, str(path), settings)
        if not _is_plain(hdu, path):
            return None
        plane, offset = choose_plane(hdu.header, str(path), settings), hdu.fileinfo()["datLoc"]
        dtype = np.dtype(_DTYPES[hdu.header["BITPIX"]])
        _check_length(path, offset + math.prod(plane.lengths) * dtype.itemsize)
        return plane.of(np.memmap(path, dtype, mode="r", offset=offset, shape=plane.lengths[::-1]))


def write_map(path: Path, pixels: NDArray[Any], header: fits.Header, unit: str) -> None:
    """Write a map that belongs to an image, under the header of that image; an earlier one is replaced.

    Parameters
    ----------
    pixels
        (ny, nx) — like the image.
    header
        Of the image; what it says of that image's own pixels is left out.
    unit
        Of the map; empty where it has none.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    header = header.copy()
    for keyword in _OF_THE_PIXELS:
        header.remove(keyword, ignore_missing=True)
    header["BUNIT"] = unit
    # Cards that break the letter of the standard came with the image, and are put right without a word.
    fits.PrimaryHDU(pixels, header).writeto(path, output_verify="silentfix", overwrite=True)


def find_image(hdus: fits.HDUList, url: str, settings: ReadingConfig = DEFAULT_READING) -> Any:  # noqa: ANN401 (astropy ships no types)
    """Find the unit that the settings name, or the first with two axes or more.

    Raises
    ------
    ImageError
        If there is none.
    """
    if settings.hdu:
        hdu = _named(hdus, settings.hdu)
        if hdu is None:
            msg = f"no unit {settings.hdu!r} in the file, which holds {', '.join(_name(hdu) for hdu in hdus)}"
            raise ImageError(msg, url)
        candidates = [hdu]
    else:
        candidates = hdus
    for hdu in candidates:
        if hdu.is_image and hdu.header.get("NAXIS", 0) >= _N_AXES:
            return hdu
    where = f"unit {settings.hdu!r}" if settings.hdu else "the file"
    msg = f"{where} holds no image"
    raise ImageError(msg, url)


def _named(hdus: fits.HDUList, wanted: str) -> Any:  # noqa: ANN401 (astropy ships no types)
    for number, hdu in enumerate(hdus):
        if wanted == str(number) or wanted.upper() == _name(hdu).upper():
            return hdu
    return None


def _name(hdu: Any) -> str:  # noqa: ANN401 (astropy ships no types)
    return str(hdu.name) or "a unit without a name"


@contextmanager
def _open(path: Path) -> Iterator[fits.HDUList]:
    # The file is ours: astropy leaves one open that it cannot read.
    with warnings.catch_warnings(), reading(path), _opened(path) as file:
        # Cards that break the letter of the standard are common and harmless; a file that is cut
        # short is found out by its length or by what decompressing it gives.
        warnings.simplefilter("ignore", AstropyUserWarning)
        try:
            with fits.open(file, mode="readonly", memmap=False) as hdus:
                yield hdus
        except (fits.VerifyError, zipfile.BadZipFile, lzma.LZMAError, ImportError) as error:
            # The last three: files compressed in other ways, which astropy unpacks too.
            raise ValueError(str(error)) from error


def _opened(path: Path) -> _CheckedFile | _CheckedGzipFile:
    with path.open("rb") as file:
        is_packed = file.read(len(_GZIP)) == _GZIP
    return _CheckedGzipFile(path) if is_packed else _CheckedFile(io.FileIO(path))


class _Checked:
    """A file whose headers are checked while astropy reads them, block by block.

    From the values of the cards astropy computes the length of the pixels, unchecked: more axes than FITS allows
    are listed without an end, and a text is repeated as often as the image has pixels, until the memory is full.
    """

    _is_in_header = False

    def read(self, size: int | None = -1) -> bytes:
        """Read bytes, and check them if they belong to a header."""
        content: bytes = super().read(size)  # type: ignore[misc]
        if content.startswith(_HEADERS):
            self._is_in_header = True
        if self._is_in_header:
            self._is_in_header = _check_cards(content)
        return content


class _CheckedFile(_Checked, io.BufferedReader):
    """As it is."""


class _CheckedGzipFile(_Checked, gzip.GzipFile):
    """Compressed."""


def _check_cards(block: bytes) -> bool:
    """Check the cards of a block that give the size of the pixels; return whether the header goes on after it."""
    for start in range(0, len(block), _CARD):
        card = block[start : start + _CARD]
        if card.rstrip() == b"END":
            return False
        if size := _SIZE_CARD.match(card):
            _check_size(size[1].decode().upper(), size[3].decode("ascii", "replace").strip(), is_text=bool(size[2]))
    return True


def _check_size(keyword: str, value: str, *, is_text: bool) -> None:
    # An OverflowError, since astropy takes an OSError or a ValueError for the end of the file.
    if is_text:
        msg = f"{keyword} = {value!r}: not a number"
        raise OverflowError(msg)
    if (
        keyword in ("NAXIS", "ZNAXIS", "TFIELDS")
        and _NUMBER.fullmatch(value)
        and not 0 <= float(value.upper().replace("D", "E")) <= _MAX_AXES
    ):
        msg = f"{keyword} = {value}: not a number of {'columns' if keyword == 'TFIELDS' else 'axes'}"
        raise OverflowError(msg)


def _beam_of_plane(hdus: fits.HDUList, header: fits.Header, index: tuple[int, ...]) -> dict[str, float]:
    """The beam of a plane, from the table in which CASA lists one for every channel and Stokes parameter."""
    table = next((hdu for hdu in hdus if hdu.header.get("EXTNAME") == "BEAMS" and not hdu.is_image), None)
    if table is None:
        return {}
    kinds = {str(header.get(f"CTYPE{axis + 1}", "")).upper(): plane for axis, plane in enumerate(index)}
    channel = next((plane for kind, plane in kinds.items() if kind.startswith("FREQ")), 0)
    stokes = next((plane for kind, plane in kinds.items() if kind.startswith("STOKES")), 0)
    rows = table.data[(table.data["CHAN"] == channel) & (table.data["POL"] == stokes)]
    if not len(rows):
        return {}
    units = {column.name: Unit(column.unit or "deg") for column in table.columns}
    return {name: float((rows[0][name] * units[name]).to_value("deg")) for name in ("BMAJ", "BMIN", "BPA")}


def _is_plain(hdu: Any, path: Path) -> bool:  # noqa: ANN401 (astropy ships no types)
    """Whether the bytes in the file are the pixels themselves."""
    header = hdu.header
    scaled = (header.get("BSCALE", 1), header.get("BZERO", 0)) != (1, 0)
    blanked = header["BITPIX"] > 0 and "BLANK" in header
    compressed = isinstance(hdu, fits.CompImageHDU) or _is_compressed(path)
    return not (scaled or blanked or compressed)


def _is_compressed(path: Path) -> bool:
    # Every FITS file begins with SIMPLE or, as astropy reads them too, with an extension.
    with path.open("rb") as file:
        return file.read(6) not in (b"SIMPLE", b"XTENSI")


def _check_length(path: Path, expected: int) -> None:
    actual = path.stat().st_size
    if actual < expected:
        msg = f"the file is truncated: {actual} bytes of {expected}"
        raise UnreadableImageError(msg, str(path))
