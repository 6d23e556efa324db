"""FITS files: the header without the pixels, the pixels as the pipeline wants them.

An image is the first two axes of the first unit that has two; of further axes (frequency, Stokes)
the first plane is taken.
"""

from __future__ import annotations

import errno
import hashlib
import math
import warnings
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from trap.errors import ImageError, TransientError, UnreadableImageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["hash_file", "map_plane", "read_header", "read_plane", "write_map"]

_N_AXES = 2
_OF_THE_PIXELS = ("BSCALE", "BZERO", "BLANK", "DATAMIN", "DATAMAX", "CHECKSUM", "DATASUM", "EXTNAME")
_PASSING = (errno.EAGAIN, errno.EBUSY, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.ETIMEDOUT)
_DTYPES = {8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}


def read_header(path: Path) -> fits.Header:
    """Read the header of the image in a file; no pixel is read.

    Raises
    ------
    UnreadableImageError
        If the file is missing or not FITS.
    ImageError
        If it holds no image.
    TransientError
        If the file system failed in a way that may pass; so for all functions here.
    """
    with _open_image(path) as hdu:
        return hdu.header.copy()


def read_plane(path: Path) -> NDArray[Any]:
    """Read the first plane of the image in a file: decompressed, scaled, blank pixels as NaN.

    Returns
    -------
    (ny, nx)
        In whatever type the values need.

    Raises
    ------
    UnreadableImageError
        If the file is missing, not FITS, or ends before its pixels do.
    """
    with _open_image(path) as hdu:
        first = (0,) * (hdu.header["NAXIS"] - _N_AXES)
        try:
            return np.array(hdu.section[(*first, slice(None), slice(None))])
        except (EOFError, ValueError, TypeError, zlib.error) as error:
            msg = f"the pixels cannot be read, the file may be truncated: {_reason(error)}"
            raise UnreadableImageError(msg, str(path)) from error


def map_plane(path: Path) -> NDArray[Any] | None:
    """Map the first plane of an image into memory, so that only what is looked at is read.

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
    with _open_image(path) as hdu:
        if not _is_plain(hdu, path):
            return None
        header, offset = hdu.header, hdu.fileinfo()["datLoc"]
        dtype = np.dtype(_DTYPES[header["BITPIX"]])
        lengths = [header[f"NAXIS{axis + 1}"] for axis in range(header["NAXIS"])]
        _check_length(path, offset + math.prod(lengths) * dtype.itemsize)
        return np.memmap(path, dtype, mode="r", offset=offset, shape=(lengths[1], lengths[0]))


def hash_file(path: Path) -> str:
    """BLAKE2b hash (128 bits, hexadecimal) of all bytes of a file.

    Raises
    ------
    UnreadableImageError
        If the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise _as_trap_error(error, path) from error


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


@contextmanager
def _open_image(path: Path) -> Iterator[Any]:
    """Open a file at its first unit with two axes or more."""
    try:
        with warnings.catch_warnings():
            # Cards that break the letter of the standard are common and harmless; a file that is cut
            # short is found out by its length or by what decompressing it gives.
            warnings.simplefilter("ignore", AstropyUserWarning)
            with fits.open(path, mode="readonly", memmap=False) as hdus:
                yield _first_image(hdus, path)
    except ImageError:
        raise
    except (OSError, EOFError, ValueError, zlib.error, fits.VerifyError) as error:
        raise _as_trap_error(error, path) from error


def _first_image(hdus: fits.HDUList, path: Path) -> Any:  # noqa: ANN401 (astropy ships no types)
    for hdu in hdus:
        if hdu.is_image and hdu.header["NAXIS"] >= _N_AXES:
            return hdu
    raise ImageError("the file holds no image", str(path))


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


def _as_trap_error(error: Exception, path: Path) -> TransientError | UnreadableImageError:
    """Tell a file that is bad from a file system that may work again in a moment."""
    if isinstance(error, OSError) and error.errno in _PASSING:
        return TransientError(f"{path}: {_reason(error)}")
    return UnreadableImageError(_reason(error), str(path))


def _reason(error: Exception) -> str:
    """What the system or the library says, without repeating the path."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
