"""Formats of image files, recognised by their content and not by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from trap.images.formats import fits
from trap.images.formats.files import is_folder, reading
from trap.software import install_command

if TYPE_CHECKING:
    from pathlib import Path

    from astropy.io.fits import Header
    from numpy.typing import NDArray

    from trap.config import ReadingConfig

__all__ = ["FORMATS", "Format", "format_of"]

_HDF5 = b"\x89HDF\r\n\x1a\n"
_MAX_USER_BLOCK = 2**20
"""byte — longest text that may precede the signature of HDF5; it has 512 bytes, or any power of two above."""
_OTHERS = (b"SIMPLE", b"XTENSI", b"\x1f\x8b")
"""First bytes of FITS files, plain or compressed by gzip, which are not sought through for the signature of HDF5."""


class Format(Protocol):
    """The functions of a module that reads one format."""

    def read_header(self, path: Path, settings: ReadingConfig) -> Header:
        """Read the header of the image, without its pixels.

        Parameters
        ----------
        path
            Path of the image.
        settings
            Settings of reading, which select the image and its plane.

        Returns
        -------
        A header whose first two axes are longitude and latitude.
        """

    def map_plane(self, path: Path, settings: ReadingConfig) -> NDArray[Any] | None:
        """Map the pixels of the selected plane into memory.

        Parameters
        ----------
        path, settings
            As for :meth:`read_header`.

        Returns
        -------
        (ny, nx) or None
            None if the pixels must be decompressed, scaled or put together.
        """

    def read_plane(self, path: Path, settings: ReadingConfig) -> NDArray[Any]:
        """Read the pixels of the selected plane.

        Parameters
        ----------
        path, settings
            Path of the image, and settings of reading, as for :meth:`read_header`.

        Returns
        -------
        (ny, nx)
            NaN marks a pixel without a value.
        """

    def hash_content(self, path: Path) -> str:
        """Hash the bytes of all files of the image."""


FORMATS = {
    "FITS": "`.fits`, `.fits.gz`, `.fits.fz`; two to four axes in any order; PC, CD or CROTA",
    "CASA image tables": f"require `{install_command('casa')}`; LOFAR's tables include stations and times",
    "LOFAR HDF5": "in casacore's layout, with or without a user block before it; pixel masks are not read",
    "HDUs in memory": "`trap.images.image.read_image(hdus)`",
}
"""Names of the formats, and notes on them, for the documentation."""


def format_of(path: Path) -> Format:
    """Return the module that reads the format of a file or folder.

    Raises
    ------
    UnreadableImageError
        If the path does not exist, or is neither a file nor a folder.
    """
    # Imported here, since h5py takes a while to import, and these formats are rare.
    if is_folder(path):
        from trap.images.formats import casa  # noqa: PLC0415

        return casa
    with reading(path), path.open("rb") as file:
        is_hdf5 = _is_hdf5(file)
    if is_hdf5:
        from trap.images.formats import hdf5  # noqa: PLC0415

        return hdf5
    return fits


def _is_hdf5(file: BinaryIO) -> bool:
    """Return whether a file has the signature of HDF5 at its beginning, or after a block for the user."""
    if file.read(len(_HDF5)).startswith(_OTHERS):
        return False
    place = 0
    while place <= _MAX_USER_BLOCK:
        file.seek(place)
        start = file.read(len(_HDF5))
        if start == _HDF5:
            return True
        if len(start) < len(_HDF5):
            return False
        place = max(512, 2 * place)
    return False
