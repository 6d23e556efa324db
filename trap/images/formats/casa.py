"""CASA image tables, including LOFAR's, read by python-casacore, which is an optional dependency."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from trap.errors import ImageError, UnreadableImageError
from trap.images.formats.casa_header import header_of_record
from trap.images.formats.files import hash_folder, reading
from trap.images.formats.lofar import COLUMNS, lofar_cards
from trap.images.headers.planes import choose_plane
from trap.software import install_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from astropy.io.fits import Header
    from numpy.typing import NDArray

    from trap.config import ReadingConfig

__all__ = ["hash_content", "map_plane", "read_header", "read_plane"]

_log = structlog.get_logger(__name__)

_TABLE = "table.dat"
_LOCK = "table.lock"


def read_header(path: Path, settings: ReadingConfig) -> Header:
    """Read the metadata of a CASA image as a FITS header, without its pixels.

    Parameters
    ----------
    path
        Folder of the table.
    settings
        Settings of reading, which select the plane.

    Raises
    ------
    UnreadableImageError
        If the folder is not a CASA image.
    ImageError
        If python-casacore is not installed, or the coordinates cannot be used.
    """
    header = _whole_header(path, settings)
    return choose_plane(header, str(path), settings).header(header)


def read_plane(path: Path, settings: ReadingConfig) -> NDArray[Any]:
    """Read a plane of a CASA image.

    Parameters
    ----------
    path, settings
        Folder of the table, and settings of reading, which select the plane.

    Returns
    -------
    (ny, nx)
        NaN marks masked pixels.

    Raises
    ------
    UnreadableImageError
        If the pixels cannot be read.
    """
    plane = choose_plane(_whole_header(path, settings), str(path), settings)
    # casacore includes the pixel at the last corner, and has its axes in the order of numpy.
    first = [index if isinstance(index, int) else 0 for index in plane.slices]
    last = [
        index if isinstance(index, int) else length - 1
        for index, length in zip(plane.slices, plane.lengths[::-1], strict=True)
    ]
    with _casacore(path):
        from casacore.images import image

        opened = image(str(path))
        pixels, is_bad = opened.getdata(first, last), opened.getmask(first, last)
    if np.iscomplexobj(pixels):
        raise ImageError("the pixels must be real numbers, got complex ones", str(path))
    shape = [length for index, length in zip(plane.slices, pixels.shape, strict=True) if isinstance(index, slice)]
    return plane.turned(np.where(is_bad, np.nan, pixels).reshape(shape))


def map_plane(path: Path, settings: ReadingConfig) -> None:
    """Return None, since casacore stores pixels in tiles, which cannot be mapped.

    Parameters
    ----------
    path, settings
        Unused; they are the parameters of this function in every format.
    """


def hash_content(path: Path) -> str:
    """Hash all files of the table except its lock."""
    return hash_folder(path, leave_out=_LOCK)


def _whole_header(path: Path, settings: ReadingConfig) -> Header:
    """Read the metadata of a CASA image as a FITS header with all axes of the image."""
    if not (path / _TABLE).exists():
        raise UnreadableImageError("a folder without a CASA image", str(path))
    with _casacore(path):
        from casacore.tables import table

        with table(str(path), ack=False) as opened:
            record = opened.getkeywords()
            if "coords" not in record or "map" not in opened.colnames():
                raise UnreadableImageError("a CASA table without an image", str(path))
            shape = _shape(opened)
        header = header_of_record(record, shape, str(path), settings)
        header.update(lofar_cards(_attribute_tables(record, str(path)), str(path)))
    return header


def _shape(opened: Any) -> list[int]:  # noqa: ANN401 (casacore ships no types)
    """Return the lengths of the axes in the order of FITS, without reading the pixels."""
    text = opened.getcolshapestring("map", 0, 1)[0]
    return [int(length) for length in text.strip("[]").split(",")][::-1]


def _attribute_tables(record: dict[str, Any], url: str) -> dict[str, dict[str, Any]]:
    """Read the attributes that are used from LOFAR's tables; images of other telescopes have none."""
    from casacore.tables import table

    tables: dict[str, dict[str, Any]] = {}
    for name, location in record.get("ATTRGROUPS", {}).items():
        try:
            with table(str(location).removeprefix("Table: "), ack=False) as opened:
                columns = COLUMNS.intersection(opened.colnames()) if opened.nrows() else ()
                tables[name] = {column: opened.getcol(column) for column in columns}
                if "CLOCK_FREQUENCY" in columns:
                    units = opened.getcolkeywords("CLOCK_FREQUENCY").get("QuantumUnits", ["Hz"])
                    tables[name]["CLOCK_FREQUENCY_UNIT"] = units[:1]
        except RuntimeError as error:
            # The attributes are optional: without them, an image is like one of another telescope.
            _log.warning("lofar_table_unreadable", image=url, table=name, reason=_reason(error))
    return tables


def _reason(error: Exception) -> str:
    """Return the message of an error in one line; casacore's may be empty."""
    return " ".join(str(error).split()) or "casacore cannot read it, and gives no reason"


@contextmanager
def _casacore(path: Path) -> Iterator[None]:
    """Convert the errors of casacore, including its absence, to errors of the pipeline."""
    try:
        with reading(path):
            yield
    except ModuleNotFoundError as error:
        msg = f"CASA images require python-casacore: {install_command('casa')}"
        raise ImageError(msg, str(path)) from error
    except RuntimeError as error:
        raise UnreadableImageError(_reason(error), str(path)) from error
