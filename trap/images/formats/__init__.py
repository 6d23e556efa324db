"""Which kind of file holds an image, told by what it is and not by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from trap.images.formats import fits
from trap.images.formats.files import is_folder, reading

if TYPE_CHECKING:
    from pathlib import Path

    from astropy.io.fits import Header
    from numpy.typing import NDArray

    from trap.config import ReadingConfig

__all__ = ["Format", "format_of"]

_HDF5 = b"\x89HDF\r\n\x1a\n"


class Format(Protocol):
    """What a module that reads one kind of file offers."""

    def read_header(self, path: Path, settings: ReadingConfig) -> Header:
        """Header of the image, of which the first two axes are those of the sky; no pixel is read."""

    def map_plane(self, path: Path, settings: ReadingConfig) -> NDArray[Any] | None:
        """(ny, nx) — the pixels, mapped; None where they must be computed."""

    def read_plane(self, path: Path, settings: ReadingConfig) -> NDArray[Any]:
        """(ny, nx) — the pixels; NaN where there is no value."""

    def hash_content(self, path: Path) -> str:
        """Hash of everything that belongs to the image."""


def format_of(path: Path) -> Format:
    """Find what reads a file.

    Raises
    ------
    UnreadableImageError
        If there is nothing to read, or it is neither a file nor a folder.
    ImageError
        If what reads such files is not installed.
    """
    # The two others need libraries that take a while to import, or are not there.
    if is_folder(path):
        from trap.images.formats import casa  # noqa: PLC0415

        return casa
    with reading(path), path.open("rb") as file:
        start = file.read(len(_HDF5))
    if start == _HDF5:
        from trap.images.formats import hdf5  # noqa: PLC0415

        return hdf5
    return fits
