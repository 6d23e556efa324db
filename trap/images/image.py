"""An image of the sky: a path that becomes metadata, projection and pixels when they are asked for.

Nothing is read before it is needed and each thing once; what travels between processes is the
path alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from trap.config import ReadingConfig
from trap.images.formats import format_of
from trap.images.formats.fits import find_image
from trap.images.headers.planes import choose_plane
from trap.images.headers.projection import celestial_wcs
from trap.images.headers.read import jansky_per_unit, read_metadata
from trap.images.metadata import ImageMetadata

if TYPE_CHECKING:
    from astropy.io.fits import HDUList, Header
    from astropy.wcs import WCS
    from numpy.typing import ArrayLike, NDArray

    from trap.images.beam import Beam
    from trap.images.formats import Format

__all__ = ["Image", "ImageMetadata", "read_image"]

_FIRST = ReadingConfig()
_N_KEPT = 256


def read_image(source: str | Path | HDUList, settings: ReadingConfig = _FIRST) -> Image:
    """Make an image of whatever holds one; of a file nothing is read before it is asked for.

    Parameters
    ----------
    source
        Path of a FITS file (which may be compressed by gzip or within FITS), of a CASA image table, or of a
        LOFAR HDF5 image; or the units of a FITS file in memory.
    settings
        Which unit and plane, and what holds whatever the header says.

    Raises
    ------
    ImageError
        If units in memory hold no image.
    """
    if isinstance(source, str | Path):
        return Image(source, settings)
    hdu = find_image(source, "memory", settings)
    plane = choose_plane(hdu.header, "memory", settings)
    header = plane.header(hdu.header)
    metadata = read_metadata(header, "memory", given=settings.given_for("memory"))
    # The name that TraP gives to images of a stream.
    start = metadata.taustart_ts.replace(tzinfo=None).isoformat()
    name = f"{metadata.telescope or 'image'}_{start}_{metadata.tau_time:g}_{metadata.freq_eff:g}_{metadata.freq_bw:g}"
    return Image.from_array(plane.of(hdu.data), header, f"memory://{name}", settings)


class Image:
    """One image; see :func:`read_image`.

    Parameters
    ----------
    path
        What holds the image.
    settings
        Which unit and plane, and what holds whatever the header says.

    Notes
    -----
    Everything below raises :class:`~trap.errors.UnreadableImageError` when the file cannot be read
    and :class:`~trap.errors.ImageError` when its header cannot be used.
    """

    def __init__(self, path: str | Path, settings: ReadingConfig = _FIRST) -> None:
        self.path = Path(path)
        self.settings = settings
        self._in_memory = False

    @classmethod
    def from_array(cls, data: ArrayLike, header: Header, url: str = "memory", settings: ReadingConfig = _FIRST) -> Self:
        """Make an image of pixels in memory; it cannot be pickled.

        Parameters
        ----------
        data
            (ny, nx), in the unit of the header.
        header
            FITS header; the lengths of the axes are taken from the data.
        url
            What the image is called.
        settings
            Of which only what is given counts.
        """
        image, pixels = cls(url, settings), np.asarray(data)
        header = header.copy()
        header["NAXIS2"], header["NAXIS1"] = pixels.shape
        image._in_memory = True
        # What is in these places already is never read from the path.
        image.__dict__.update(url=url, header=header, _plane=pixels, content_hash=_hash(pixels, header))
        return image

    def with_beam(self, beam: Beam) -> Self:
        """Take the same image under a restoring beam of the caller's; it cannot be pickled."""
        image = type(self)(self.path, self.settings)
        image.__dict__.update(self.__dict__, metadata=replace(self.metadata, beam=beam), _in_memory=True)
        return image

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def __reduce__(self) -> tuple[type[Self], tuple[Path, ReadingConfig]]:
        if self._in_memory:
            msg = f"{self.url}: what is in memory only cannot be pickled as a path"
            raise TypeError(msg)
        return type(self), (self.path, self.settings)

    @cached_property
    def url(self) -> str:
        """Where the image is."""
        return str(self.path)

    @cached_property
    def header(self) -> Header:
        """FITS header, of which the first two axes are those of the sky; reads no pixel."""
        if not self.path.is_file():
            return self._format.read_header(self.path, self.settings)
        status = self.path.stat()
        return _header_of(self.path, self.settings, (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size))

    @cached_property
    def metadata(self) -> ImageMetadata:
        """What the header says; reads no pixel."""
        return read_metadata(self.header, self.url, self.wcs, self.settings.given_for(self.url))

    @cached_property
    def wcs(self) -> WCS:
        """Celestial projection of the pixels, in ICRS; with origin 0 pixels are array indices."""
        return celestial_wcs(self.header, self.url)

    @cached_property
    def data(self) -> NDArray[np.float32]:
        """(ny, nx) Jy/beam — the pixels; NaN where there is no value."""
        if self._plane is None:
            return self._as_pixels(self._format.read_plane(self.path, self.settings))
        return self._as_pixels(self._plane)

    def cutout(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Pixels of a part of the image, without reading the rest where the file allows it.

        Parameters
        ----------
        rows, columns
            Slices along y and x, as for ``data``.

        Returns
        -------
        (n_rows, n_columns) Jy/beam
            A copy; NaN where there is no value.
        """
        if "data" in self.__dict__ or self._plane is None:
            return self.data[rows, columns].copy()
        return self._as_pixels(self._plane[rows, columns])

    @cached_property
    def content_hash(self) -> str:
        """Hash (128-bit BLAKE2b, hexadecimal) of the whole file: the same file under any name."""
        return self._format.hash_content(self.path)

    @cached_property
    def pixel_hash(self) -> str:
        """Hash of the values alone: the same pixels under any header."""
        return hashlib.blake2b(self.data.tobytes(), digest_size=16).hexdigest()

    @cached_property
    def _format(self) -> Format:
        """What reads files of this kind."""
        return format_of(self.path)

    @cached_property
    def _plane(self) -> NDArray[Any] | None:
        """The pixels as the file holds them, mapped; None where they must be computed."""
        return self._format.map_plane(self.path, self.settings)

    def _as_pixels(self, plane: NDArray[Any]) -> NDArray[np.float32]:
        with np.errstate(over="ignore"):
            # A number too large for 32 bits becomes infinite, and so no value, below.
            pixels = np.array(plane, np.float32, order="C")
        unit = self.settings.given_for(self.url).unit or str(self.header.get("BUNIT", "")).strip()
        factor = jansky_per_unit(unit)
        if factor != 1:
            pixels *= np.float32(factor)
        pixels[np.isinf(pixels)] = np.nan
        return pixels


@lru_cache(_N_KEPT)
def _header_of(path: Path, settings: ReadingConfig, _version: tuple[int, ...]) -> Header:
    """Header of a file; a process that measured an image soon fits positions in it."""
    return format_of(path).read_header(path, settings)


def _hash(pixels: NDArray[Any], header: Header) -> str:
    digest = hashlib.blake2b(header.tostring().encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).tobytes())
    return digest.hexdigest()
