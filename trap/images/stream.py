"""Images from a socket, in the format of TraP's correlators.

An image is a frame: 512 bytes of head (a magic number of 8 bytes, then the lengths of header and
pixels, 4 bytes each, then zeros), a FITS header as text, and its pixels as 32-bit floats. All
numbers are in the byte order of the sender, which is recognised by the magic number. Since the head
has the lengths, the stream stays in step after an image that cannot be used.

TraP does not define the order of the pixels: its receiver reads them as in a FITS file (along x
first), its emulator sends them along y first, so that images arrive transposed. Here the default is
the order of FITS files, and a setting selects the other.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from astropy.io import fits

from trap.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["Frame", "PixelOrder", "fits_file", "read_frame", "write_frame"]

MAGIC = 0x47494A53484F4D4F
HEAD_LENGTH = 512
MAX_HEADER = 1 << 20
MAX_PIXELS = 1 << 31
"""bytes — larger numbers show that the reader is not at the beginning of a frame."""
MAX_AXES = 32
CARD = 80
BLOCK = 2880
END = "END".ljust(CARD)
LAYOUT = re.compile(r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|BSCALE|BZERO|BLANK|CHECKSUM|DATASUM")
"""Keywords on the layout of a file, which differs from the layout of the sender's data."""
WHOLE_NUMBER = re.compile(r"= *([+-]?\d{1,18}) *(/.*)?")
PRINTABLE = bytes(byte if byte in b"\n" or 32 <= byte < 127 else ord("?") for byte in range(256))
"""Table that replaces bytes that no card may have, since they would make the whole header unreadable."""

PixelOrder = Literal["x-fastest", "y-fastest"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """An image as it was received. Nothing in it has been checked.

    Parameters
    ----------
    header
        Text of the FITS header: cards of 80 characters one after the other, or one card in each line.
    data
        Pixels, as 32-bit floats.
    byte_order
        Byte order of the pixels, < or >.
    """

    header: bytes
    data: bytes
    byte_order: str


def read_frame(read: Callable[[int], bytes]) -> Frame:
    """Read the next image of a stream as a whole, so that an image that cannot be used costs only itself.

    Parameters
    ----------
    read
        Function that returns a number of bytes from the stream; fewer bytes mean the end of the stream.

    Raises
    ------
    EOFError
        If the stream has ended, between two images or within an image.
    ImageError
        If the bytes are not the beginning of a frame; the beginning of the next frame is unknown then.
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
    return Frame(header=_read(read, n_header), data=_read(read, n_pixels), byte_order=byte_order)


def fits_file(frame: Frame, order: PixelOrder) -> bytes:
    """Make the content of a FITS file from an image of a stream.

    Cards on the layout of the file are written again. All other cards stay as the sender wrote them, so that the rules
    for files judge them. Axes beyond the second have length 1.

    Parameters
    ----------
    frame
        The image.
    order
        Order of its pixels.

    Raises
    ------
    ImageError
        If the header has no cards that describe the pixels.
    """
    cards = _cards(frame.header)
    n_axes = _number(cards, "NAXIS", default=2)
    nx, ny = _number(cards, "NAXIS1"), _number(cards, "NAXIS2")
    if n_axes > MAX_AXES:
        msg = f"an image has at most {MAX_AXES} axes, got NAXIS = {n_axes}"
        raise ImageError(msg)
    if not (nx > 0 and ny > 0 and 4 * nx * ny == len(frame.data)):
        msg = f"received {len(frame.data) / 4:g} pixels for NAXIS1 = {nx} and NAXIS2 = {ny}"
        raise ImageError(msg)
    data = np.frombuffer(frame.data, f"{frame.byte_order}f4")
    pixels = data.reshape(ny, nx) if order == "x-fastest" else data.reshape(nx, ny).T
    lengths = [nx, ny, *[1] * (n_axes - 2)]
    layout = [
        fits.Card("SIMPLE", True, "conforms to FITS standard"),
        fits.Card("BITPIX", -32, "array data type"),
        fits.Card("NAXIS", len(lengths), "number of array dimensions"),
        *(fits.Card(f"NAXIS{number}", length) for number, length in enumerate(lengths, start=1)),
    ]
    header = "".join([*map(str, layout), *(card for card in cards if not LAYOUT.fullmatch(card[:8].rstrip())), END])
    return _padded(header.encode("ascii"), b" ") + _padded(pixels.astype(">f4", order="C").tobytes(), b"\0")


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


def _cards(text: bytes) -> list[str]:
    """Split a header into cards of 80 characters, up to its end."""
    lines = text.replace(b"\r\n", b"\n").translate(PRINTABLE).decode("ascii")
    whole = (lines[start : start + CARD] for start in range(0, len(lines), CARD))
    cards = [card.rstrip().ljust(CARD) for card in (lines.split("\n") if "\n" in lines else whole)]
    longest = max(cards, key=len, default="")
    if len(longest) > CARD:
        msg = f"a card has at most {CARD} characters, got {len(longest)}: {longest[:CARD]}…"
        raise ImageError(msg)
    return cards[: cards.index(END)] if END in cards else cards


def _number(cards: list[str], name: str, *, default: int = 0) -> int:
    """Return the whole number that the first card of a name holds; the default if there is no such card."""
    for card in cards:
        if card[:8].rstrip() == name:
            number = WHOLE_NUMBER.fullmatch(card[8:])
            if number is None:
                msg = f"{name} is no whole number: {card.rstrip()}"
                raise ImageError(msg)
            return int(number[1])
    return default


def _padded(content: bytes, filler: bytes) -> bytes:
    """Fill the last block of a FITS file."""
    return content + filler * (-len(content) % BLOCK)
