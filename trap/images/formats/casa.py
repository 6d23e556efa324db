"""CASA image tables, LOFAR's among them, by python-casacore: an optional dependency."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.errors import ImageError, UnreadableImageError
from trap.images.formats.casa_header import header_of_record
from trap.images.formats.files import hash_folder, reading
from trap.images.formats.lofar import lofar_cards
from trap.images.headers.planes import choose_plane

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from astropy.io.fits import Header
    from numpy.typing import NDArray

    from trap.config import ReadingConfig

__all__ = ["hash_content", "map_plane", "read_header", "read_plane"]

_TABLE = "table.dat"
_LOCK = "table.lock"


def read_header(path: Path, settings: ReadingConfig) -> Header:
    """Read what a CASA image says of itself, as a FITS header; no pixel is read.

    Raises
    ------
    UnreadableImageError
        If the folder is no CASA image.
    ImageError
        If python-casacore is not installed, or the coordinates cannot be used.
    """
    header = _whole_header(path)
    return choose_plane(header, str(path), settings).header(header)


def read_plane(path: Path, settings: ReadingConfig) -> NDArray[Any]:
    """Read a plane of a CASA image; masked pixels as NaN.

    Returns
    -------
    (ny, nx)

    Raises
    ------
    UnreadableImageError
        If the pixels cannot be read.
    """
    plane = choose_plane(_whole_header(path), str(path), settings)
    # casacore's corners include the last pixel; its axes come in numpy's order.
    first = [place if isinstance(place, int) else 0 for place in plane.slices]
    last = [
        place if isinstance(place, int) else length - 1
        for place, length in zip(plane.slices, plane.lengths[::-1], strict=True)
    ]
    with _casacore(path):
        from casacore.images import image

        opened = image(str(path))
        pixels, is_bad = opened.getdata(first, last), opened.getmask(first, last)
    if np.iscomplexobj(pixels):
        raise ImageError("the pixels are complex numbers", str(path))
    shape = [length for place, length in zip(plane.slices, pixels.shape, strict=True) if isinstance(place, slice)]
    return plane.turned(np.where(is_bad, np.nan, pixels).reshape(shape))


def map_plane(path: Path, settings: ReadingConfig) -> None:
    """Return None: casacore keeps pixels in tiles."""


def hash_content(path: Path) -> str:
    """Hash of all files of the table, but for its lock."""
    return hash_folder(path, leave_out=_LOCK)


def _whole_header(path: Path) -> Header:
    if not (path / _TABLE).exists():
        raise UnreadableImageError("a folder, and no CASA image", str(path))
    with _casacore(path):
        from casacore.tables import table

        with table(str(path), ack=False) as opened:
            record = opened.getkeywords()
            if "coords" not in record or "map" not in opened.colnames():
                raise UnreadableImageError("a CASA table, but no image", str(path))
            shape = _shape(opened)
        header = header_of_record(record, shape, str(path))
        header.update(_attributes(record, path))
    return header


def _shape(opened: Any) -> list[int]:  # noqa: ANN401 (casacore ships no types)
    """Lengths of the axes in the order of FITS, without reading the pixels."""
    text = opened.getcolshapestring("map", 0, 1)[0]
    return [int(length) for length in text.strip("[]").split(",")][::-1]


def _attributes(record: dict[str, Any], path: Path) -> dict[str, Any]:
    """Keywords that follow from LOFAR's tables of attributes; none for other telescopes."""
    from casacore.tables import table

    tables = {}
    for name, location in record.get("ATTRGROUPS", {}).items():
        with table(str(location).removeprefix("Table: "), ack=False) as opened:
            columns = opened.colnames() if opened.nrows() else []
            tables[name] = {column: opened.getcol(column) for column in columns}
            if "CLOCK_FREQUENCY" in columns:
                units = opened.getcolkeywords("CLOCK_FREQUENCY").get("QuantumUnits", ["Hz"])
                tables[name]["CLOCK_FREQUENCY_UNIT"] = units[:1]
    try:
        return dict(lofar_cards(tables))
    except (ValueError, KeyError, IndexError) as error:
        raise ImageError(str(error), str(path)) from error


@contextmanager
def _casacore(path: Path) -> Iterator[None]:
    """Turn what casacore raises into our errors, above all that it is not there."""
    try:
        with reading(path):
            yield
    except ModuleNotFoundError as error:
        msg = "a CASA image is read by python-casacore, which is not installed: pip install 'trap-transients[casa]'"
        raise ImageError(msg, str(path)) from error
    except RuntimeError as error:
        raise UnreadableImageError(" ".join(str(error).split()), str(path)) from error
