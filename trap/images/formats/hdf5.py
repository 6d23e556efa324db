"""LOFAR's HDF5 images in casacore's layout: a data set ``map``, and records as groups with attributes.

They are read by h5py, since casacore is rarely built with HDF5. Pixel masks are not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from trap.errors import ImageError, UnreadableImageError
from trap.images.formats.casa_header import header_of_record
from trap.images.formats.files import hash_file, reading
from trap.images.formats.lofar import COLUMNS, lofar_cards
from trap.images.headers.planes import choose_plane

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from astropy.io.fits import Header
    from numpy.typing import NDArray

    from trap.config import ReadingConfig
    from trap.typing import Card

__all__ = ["hash_content", "map_plane", "read_header", "read_plane"]

_PIXELS = "map"
_EMPTY = "__empty__"
"""casacore's representation of an empty text."""

hash_content = hash_file


def read_header(path: Path, settings: ReadingConfig) -> Header:
    """Read the metadata of an HDF5 image as a FITS header, without its pixels.

    Parameters
    ----------
    path
        Path of the file.
    settings
        Settings of reading, which select the plane.

    Raises
    ------
    UnreadableImageError
        If the file cannot be read.
    ImageError
        If its pixels are not real numbers, or its coordinates cannot be used.
    """
    with reading(path), h5py.File(path) as file:
        header = _whole_header(file, path, settings)
    return choose_plane(header, str(path), settings).header(header)


def read_plane(path: Path, settings: ReadingConfig) -> NDArray[Any]:
    """Read a plane of an HDF5 image.

    Parameters
    ----------
    path, settings
        Path of the HDF5 file, and settings of reading, which select the plane.

    Returns
    -------
    (ny, nx)

    Raises
    ------
    UnreadableImageError
        If the pixels cannot be read.
    """
    with reading(path), h5py.File(path) as file:
        plane = choose_plane(_whole_header(file, path, settings), str(path), settings)
        return np.array(plane.turned(file[_PIXELS][plane.slices]))


def map_plane(path: Path, settings: ReadingConfig) -> None:
    """Return None, since HDF5 stores pixels in chunks, which cannot be mapped.

    Parameters
    ----------
    path, settings
        Unused; every format takes them.
    """


def _whole_header(file: h5py.File, path: Path, settings: ReadingConfig) -> Header:
    """Read the metadata of an HDF5 image as a FITS header with all axes of the image."""
    pixels, coordinates = file.get(_PIXELS), file.get("coordinfo")
    if not isinstance(pixels, h5py.Dataset) or not isinstance(coordinates, h5py.Group):
        raise UnreadableImageError("an HDF5 file without an image: map or coordinfo is missing", str(path))
    if pixels.dtype.kind not in "fiu":
        msg = f"the pixels must be real numbers, got {pixels.dtype}"
        raise ImageError(msg, str(path))
    record = {
        "coords": _record(coordinates).get("coords", {}),
        "imageinfo": _record(file.get("imageinfo")),
        "units": _record(file.get("unitinfo")).get("units", ""),
    }
    # HDF5 has the axes in the order of numpy, casacore's records in the order of FITS.
    header = header_of_record(record, pixels.shape[::-1], str(path), settings)
    header.update(lofar_cards(_attribute_tables(file), str(path)))
    for keyword, value in _root_attributes(file):
        header.setdefault(keyword, value)
    return header


def _record(group: h5py.Group | None) -> dict[str, Any]:
    """Read a record, whose fields are attributes and whose inner records are groups."""
    if group is None:
        return {}
    record: dict[str, Any] = {name: _field(value) for name, value in group.attrs.items()}
    for name, member in group.items():
        if isinstance(member, h5py.Group):
            record[name] = _record(member)
    return record


def _field(value: Any) -> Any:  # noqa: ANN401 (attributes have any type)
    """Convert the value of an attribute: texts from bytes, arrays of texts to lists; others stay."""
    if isinstance(value, bytes):
        text = value.decode(errors="replace").rstrip("\0")
        return "" if text == _EMPTY else text
    if isinstance(value, str):
        return "" if value == _EMPTY else value
    if isinstance(value, np.ndarray) and value.dtype.kind in "SO":
        return [_field(item) for item in value.ravel().tolist()]
    return value


def _attribute_tables(file: h5py.File) -> dict[str, dict[str, Any]]:
    """Read the attributes that are used from LOFAR's tables, each of them a group with a group for each row."""
    tables = {}
    for name, rows in _record(file.get("ATTRGROUPS")).items():
        cells = [row for _, row in sorted(rows.items()) if isinstance(row, dict)] if isinstance(rows, dict) else []
        if cells:
            columns = COLUMNS & cells[0].keys()
            tables[name] = {column: np.array([row[column] for row in cells if column in row]) for column in columns}
    return tables


def _root_attributes(file: h5py.File) -> Iterator[Card]:
    """Yield keywords from the attributes at the root, which are the only ones of some LOFAR files."""
    attributes = {name: _field(value) for name, value in file.attrs.items()}
    for keyword, name in (("TELESCOP", "TELESCOPE"), ("ANTENNA", "ANTENNA_SET"), ("DATE-OBS", "OBSERVATION_START_UTC")):
        if attributes.get(name):
            yield keyword, str(attributes[name])
    if "OBSERVATION_END_UTC" in attributes:
        yield "END_UTC", str(attributes["OBSERVATION_END_UTC"])
