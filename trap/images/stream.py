"""Images from a socket, in the format of TraP's correlators.

An image is a frame: 512 bytes of head (a magic number of 8 bytes, then the lengths of header and
pixels, 4 bytes each, then zeros), a FITS header as text, and its pixels as 32-bit floats. All
numbers are in the byte order of the sender, which is recognised by the magic number.

TraP does not define the order of the pixels: its receiver reads them as in a FITS file (along x
first), its emulator sends them along y first, so that images arrive transposed. Here the default is
the order of FITS files, and a setting selects the other.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from astropy.io import fits

from trap.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from trap.typing import Map

__all__ = ["Frame", "PixelOrder", "read_frame", "write_frame"]

MAGIC = 0x47494A53484F4D4F
HEAD_LENGTH = 512
MAX_HEADER = 1 << 20
MAX_PIXELS = 1 << 31
"""bytes — larger numbers show that the reader is not at the beginning of a frame."""

PixelOrder = Literal["x-fastest", "y-fastest"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """An image as it was received.

    Parameters
    ----------
    header
        FITS header; its first two axes are the axes of the pixels.
    pixels
        (ny, nx) — pixels in the unit that the header names.
    """

    header: fits.Header
    pixels: Map

    def to_fits(self) -> fits.PrimaryHDU:
        """Return the image as the HDU of a file; axes beyond the second have length 1."""
        n_more = max(0, int(self.header.get("NAXIS", 2)) - 2)
        return fits.PrimaryHDU(self.pixels.reshape((1,) * n_more + self.pixels.shape), self.header)


def read_frame(read: Callable[[int], bytes], order: PixelOrder) -> Frame:
    """Read the next image of a stream.

    Parameters
    ----------
    read
        Function that returns a number of bytes from the stream; fewer bytes mean the end of the stream.
    order
        Order of the pixels in the stream.

    Raises
    ------
    EOFError
        If the stream has ended, between two images or within an image.
    ImageError
        If the bytes are not a frame, or its header and pixels do not fit each other.
    """
    head = _read(read, HEAD_LENGTH)
    byte_order = _byte_order(head)
    n_header, n_pixels = struct.unpack(f"{byte_order}II", head[8:16])
    if n_header > MAX_HEADER or n_pixels > MAX_PIXELS:
        msg = (
            f"a frame has at most {MAX_HEADER} bytes of header and {MAX_PIXELS} bytes of pixels, "
            f"got {n_header} and {n_pixels}"
        )
        raise ImageError(msg, "stream")
    header = _parse(_read(read, n_header))
    data = np.frombuffer(_read(read, n_pixels), f"{byte_order}f4")
    nx, ny = _shape(header, data.size)
    pixels = data.reshape(ny, nx) if order == "x-fastest" else data.reshape(nx, ny).T
    return Frame(header=header, pixels=np.ascontiguousarray(pixels, ">f4"))


def write_frame(header: fits.Header, pixels: NDArray[np.floating], order: PixelOrder = "x-fastest") -> bytes:
    """Encode an image as a frame, in the byte order of this machine.

    Parameters
    ----------
    header, pixels
        FITS header, whose first two axes are the axes of the pixels, and (ny, nx) pixels in its unit.
    order
        Order of the pixels in the frame.
    """
    text: bytes = header.tostring(sep="\n", endcard=True, padding=False).encode("ascii")
    data = np.asarray(pixels, "=f4").tobytes(order="C" if order == "x-fastest" else "F")
    head = struct.pack("=QII", MAGIC, len(text), len(data))
    return head.ljust(HEAD_LENGTH, b"\0") + text + data


def _read(read: Callable[[int], bytes], n: int) -> bytes:
    """Read exactly n bytes; raise EOFError if there are fewer."""
    data = read(n)
    if len(data) < n:
        msg = f"the stream ended after {len(data)} of {n} bytes"
        raise EOFError(msg)
    return data


def _byte_order(head: bytes) -> str:
    """Return the byte order, < or >, that makes the head begin with the magic number."""
    for order in "<>":
        if struct.unpack(f"{order}Q", head[:8])[0] == MAGIC:
            return order
    msg = f"not the beginning of an image: expected {MAGIC:x}, got {head[:8].hex()}"
    raise ImageError(msg, "stream")


def _parse(text: bytes) -> fits.Header:
    try:
        lines = text.decode("ascii").rstrip("\0\n ")
        return fits.Header.fromstring(lines, sep="\n" if "\n" in lines else "")
    except (ValueError, fits.VerifyError) as error:
        msg = f"the header cannot be read: {' '.join(str(error).split())}"
        raise ImageError(msg, "stream") from error


def _shape(header: fits.Header, n_pixels: int) -> tuple[int, int]:
    """Return nx and ny of the header, whose product must be the number of pixels."""
    nx, ny = header.get("NAXIS1", 0), header.get("NAXIS2", 0)
    if not (isinstance(nx, int) and isinstance(ny, int) and nx > 0 and ny > 0 and nx * ny == n_pixels):
        msg = f"received {n_pixels} pixels for NAXIS1 = {nx!r} and NAXIS2 = {ny!r}"
        raise ImageError(msg, "stream")
    return nx, ny
