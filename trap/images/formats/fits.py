"""FITS files: headers without pixels, and pixels decompressed, scaled and oriented.

The image is in the first HDU with two axes or more, or in the HDU that the settings name. Its first two
axes are the axes of the sky; of further axes (frequency, Stokes) the settings select a plane.
"""

from __future__ import annotations

import math
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from trap.config import DEFAULT_READING
from trap.errors import ImageError, UnreadableImageError
from trap.images.formats.beam_table import beam_of_plane
from trap.images.formats.checked import is_packed, open_checked
from trap.images.formats.files import hash_file, reading
from trap.images.headers.keywords import Keywords
from trap.images.headers.planes import choose_plane

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from trap.config import ReadingConfig

__all__ = [
    "find_image",
    "hash_content",
    "map_plane",
    "read_header",
    "read_plane",
    "writable_header",
    "write_map",
]

_MIN_AXES = 2
_PIXEL_KEYWORDS = ("BSCALE", "BZERO", "BLANK", "DATAMIN", "DATAMAX", "CHECKSUM", "DATASUM", "EXTNAME")
"""Keywords that describe the pixels of an image, and are wrong for a map made of it."""
_DTYPES = {8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
hash_content = hash_file


def read_header(path: Path, settings: ReadingConfig = DEFAULT_READING) -> fits.Header:
    """Read the header of the image in a file, without its pixels.

    Parameters
    ----------
    path
        Path of the file.
    settings
        Settings of reading, which select the HDU and the plane.

    Returns
    -------
    A header whose first two axes are longitude and latitude. If CASA's table of beams lists the beam of the
    plane, the header holds it.

    Raises
    ------
    UnreadableImageError
        If the file is missing or not FITS.
    ImageError
        If the file does not hold an image, or not the selected one.
    TransientError
        If the file system failed, and a retry may succeed. All functions of this module raise it.
    """
    with _open(path) as hdus:
        hdu = find_image(hdus, str(path), settings)
        plane = choose_plane(hdu.header, str(path), settings)
        header = plane.header(hdu.header)
        header.update(beam_of_plane(hdus, hdu.header, plane, str(path)))
        return header


def read_plane(path: Path, settings: ReadingConfig = DEFAULT_READING) -> NDArray[Any]:
    """Read a plane of the image in a file: decompressed, scaled, with NaN for blank pixels.

    Parameters
    ----------
    path, settings
        As for :func:`read_header`.

    Returns
    -------
    (ny, nx)
        Pixels, in the type that their scaling needs.

    Raises
    ------
    UnreadableImageError
        If the file is missing, not FITS, or ends before its pixels do.
    """
    with _open(path) as hdus:
        hdu = find_image(hdus, str(path), settings)
        plane = choose_plane(hdu.header, str(path), settings)
        if hdu.header["BITPIX"] > 0:
            # Without it, blank pixels would have the flux density of the number that marks them.
            Keywords(hdu.header, str(path)).number("BLANK")
        try:
            return np.array(plane.turned(hdu.section[plane.slices]))
        except (OSError, MemoryError):
            raise
        except Exception as error:
            # Decompression in compiled code raises exceptions of its own.
            msg = f"the pixels cannot be read, the file may be truncated: {' '.join(str(error).split())}"
            raise UnreadableImageError(msg, str(path)) from error


def map_plane(path: Path, settings: ReadingConfig = DEFAULT_READING) -> NDArray[Any] | None:
    """Map a plane of an image into memory, so that only pixels that are used are read.

    Parameters
    ----------
    path, settings
        Path of the file, and settings of reading, which select the HDU and the plane.

    Returns
    -------
    (ny, nx) or None
        Read-only, in the byte order of the file. None if the pixels must be computed, for compressed
        files and for scaled or blanked integers.

    Raises
    ------
    UnreadableImageError
        As for :func:`read_plane`.
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
    """Write a map of an image, with the header of the image; an existing file is replaced.

    Parameters
    ----------
    path
        Path of the file to write.
    pixels
        (ny, nx) — values of the map, one for each pixel of the image.
    header
        Header of the image; keywords that describe its pixels are left out.
    unit
        Unit of the map; empty if it has none.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    header = writable_header(header)
    for keyword in _PIXEL_KEYWORDS:
        header.remove(keyword, ignore_missing=True)
    header["BUNIT"] = unit
    # Small violations of the standard come from the image, and are corrected silently.
    fits.PrimaryHDU(pixels, header).writeto(path, output_verify="silentfix", overwrite=True)


def writable_header(header: fits.Header) -> fits.Header:
    """Return a copy of a header without cards that astropy can neither parse nor repair.

    Parameters
    ----------
    header
        Header of an image; it is not changed.
    """
    with warnings.catch_warnings():
        # Repairs are reported as warnings.
        warnings.simplefilter("ignore", AstropyUserWarning)
        return fits.Header([card for card in header.copy().cards if _is_writable(card)])


def _is_writable(card: fits.Card) -> bool:
    try:
        return bool(str(card))
    except (fits.VerifyError, ValueError):
        return False


def find_image(hdus: fits.HDUList, url: str, settings: ReadingConfig = DEFAULT_READING) -> Any:  # noqa: ANN401 (astropy ships no types)
    """Find the HDU that the settings name, or the first with two axes or more.

    Parameters
    ----------
    hdus
        HDUs of the file.
    url
        Path of the file, for messages.
    settings
        Settings of reading, which may name the HDU.

    Returns
    -------
    The HDU of the image.

    Raises
    ------
    ImageError
        If the file has no such HDU, or it holds no image.
    """
    if settings.hdu:
        hdu = _named(hdus, settings.hdu)
        if hdu is None:
            msg = f"no HDU {settings.hdu!r} in the file, which holds {', '.join(_name(hdu) for hdu in hdus)}"
            raise ImageError(msg, url)
        candidates = [hdu]
    else:
        candidates = hdus
    for hdu in candidates:
        if hdu.is_image and hdu.header.get("NAXIS", 0) >= _MIN_AXES:
            return hdu
    place = f"HDU {settings.hdu!r}" if settings.hdu else "the file"
    msg = f"{place} holds no image with two axes or more"
    raise ImageError(msg, url)


def _named(hdus: fits.HDUList, name: str) -> Any:  # noqa: ANN401 (astropy ships no types)
    """Return the HDU with a name or a number; None if the file has none."""
    for number, hdu in enumerate(hdus):
        if name == str(number) or name.upper() == _name(hdu).upper():
            return hdu
    return None


def _name(hdu: Any) -> str:  # noqa: ANN401 (astropy ships no types)
    return str(hdu.name) or "an HDU without a name"


@contextmanager
def _open(path: Path) -> Iterator[fits.HDUList]:
    """Open a file with astropy, with checked headers and with the errors of the pipeline."""
    # The file is opened and closed here, since astropy leaves a file open if it cannot read it.
    with warnings.catch_warnings(), reading(path), open_checked(path) as file:
        # Small violations of the standard are common and harmless. Truncated files are detected by their
        # length, or by an error of decompression.
        warnings.simplefilter("ignore", AstropyUserWarning)
        try:
            with fits.open(file, mode="readonly", memmap=False) as hdus:
                yield hdus
        except ImportError as error:
            # A kind of compression, such as LZW, for which a package is missing.
            raise ValueError(str(error)) from error


def _is_plain(hdu: Any, path: Path) -> bool:  # noqa: ANN401 (astropy ships no types)
    """Return whether the bytes in the file are the pixels, without compression, scaling or blank values."""
    header = hdu.header
    is_scaled = (header.get("BSCALE", 1), header.get("BZERO", 0)) != (1, 0)
    is_blanked = header["BITPIX"] > 0 and "BLANK" in header
    is_compressed = isinstance(hdu, fits.CompImageHDU) or is_packed(path)
    return not (is_scaled or is_blanked or is_compressed)


def _check_length(path: Path, expected: int) -> None:
    actual = path.stat().st_size
    if actual < expected:
        msg = f"the file is truncated: {actual} bytes of {expected}"
        raise UnreadableImageError(msg, str(path))
