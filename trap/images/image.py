"""An image of the sky: a path whose metadata, projection and pixels are read on first access.

Each of them is read once and then kept. Between processes only the path and the settings are passed.
"""

from __future__ import annotations

import hashlib
import warnings
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from astropy.io.fits import VerifyError
from astropy.utils.exceptions import AstropyUserWarning

from trap.config import DEFAULT_READING
from trap.errors import ImageError
from trap.images.blanks import Filling, find_filling, has_repeats, off_sky
from trap.images.formats import format_of
from trap.images.formats.files import is_folder, reading
from trap.images.formats.fits import find_image, writable_header
from trap.images.headers.brightness import Kind
from trap.images.headers.keywords import Keywords
from trap.images.headers.planes import choose_plane
from trap.images.headers.projection import celestial_wcs
from trap.images.headers.read import read_brightness, read_metadata
from trap.images.headers.scale import is_restored_in_plane, pixel_areas
from trap.images.metadata import ImageMetadata
from trap.images.patterns import path_of, path_text

if TYPE_CHECKING:
    from datetime import datetime

    from astropy.io.fits import HDUList, Header
    from astropy.wcs import WCS
    from numpy.typing import ArrayLike, NDArray

    from trap.config import ReadingConfig
    from trap.images.beam import Beam
    from trap.images.formats import Format
    from trap.typing import Map

__all__ = ["Image", "ImageMetadata", "read_image"]

_ALL = slice(None)
MAX_HEADERS = 256
"""Number of headers that a process keeps."""


def read_image(source: str | Path | HDUList, settings: ReadingConfig = DEFAULT_READING) -> Image:
    """Open an image. Files are read lazily: the header and the pixels are loaded on first access.

    Parameters
    ----------
    source
        Path of a FITS file (which may be compressed by gzip or within FITS), of a CASA image table, or of a
        LOFAR HDF5 image; or the HDUs of a FITS file in memory, which are read at once.
    settings
        HDU and plane to read, and values that override the header.

    Raises
    ------
    ImageError
        If HDUs in memory hold no image, or one whose header cannot be used.
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
        Path of the image file or folder.
    settings
        HDU and plane to read, and values that override the header.

    Notes
    -----
    Every property and method raises :class:`~trap.errors.UnreadableImageError` if the file cannot be
    read, and :class:`~trap.errors.ImageError` if its header cannot be used.
    """

    def __init__(self, path: str | Path, settings: ReadingConfig = DEFAULT_READING) -> None:
        self.path = path_of(path)
        self.settings = settings
        self._in_memory = False

    @classmethod
    def from_array(
        cls, data: ArrayLike, header: Header, url: str = "memory", settings: ReadingConfig = DEFAULT_READING
    ) -> Self:
        """Create an image from pixels in memory; it cannot be pickled.

        Parameters
        ----------
        data
            (ny, nx) — the pixels, in the unit that the header names.
        header
            FITS header; the lengths of its axes are replaced by the shape of the data.
        url
            Name of the image, for messages and for the patterns of ``settings.given``.
        settings
            Settings of reading; only ``given`` matters here, since the plane is chosen already.
        """
        image, pixels = cls(url, settings), np.asarray(data)
        header = header.copy()
        header["NAXIS2"], header["NAXIS1"] = pixels.shape
        image._in_memory = True
        # These attributes are computed on first access; filled in here, they are never read from the path.
        image.__dict__.update(url=url, header=header, _plane=pixels, content_hash=_hash(pixels, header))
        return image

    def with_beam(self, beam: Beam) -> Self:
        """Return a copy of the image with another restoring beam; it cannot be pickled."""
        given = self.settings.given_for(self.url)
        # Some units are converted through the beam.
        given = given.model_copy(update={"bmaj": beam.bmaj, "bmin": beam.bmin, "bpa": beam.bpa})
        metadata = read_metadata(self.header, self.url, self.wcs, given)
        image = type(self)(self.path, self.settings)
        image.__dict__.update(self.__dict__, metadata=metadata, _in_memory=True)
        image.__dict__.pop("data", None)
        return image

    def require_beam(self) -> Beam:
        """Return the restoring beam.

        Raises
        ------
        ImageError
            If the header has none that can be used.
        """
        beam = self.metadata.beam
        if beam is None:
            raise ImageError("no restoring beam in the header", self.url)
        return beam

    def require_start(self, start: datetime) -> None:
        """Check that the file holds the same observation as before, by its start. No pixel is read.

        Parameters
        ----------
        start
            Start of the observation.

        Raises
        ------
        ImageError
            If the file was replaced by another observation.
        """
        if (now := self.metadata.taustart_ts) != start:
            msg = f"the file was replaced: it held an image of {start.isoformat()}, now one of {now.isoformat()}"
            raise ImageError(msg, self.url)

    def file_version(self) -> tuple[int, ...] | None:
        """Return numbers that differ if the file was written again or replaced; None for a folder."""
        if is_folder(self.path):
            return None
        with reading(self.path):
            status = self.path.stat()
        return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def __reduce__(self) -> tuple[type[Self], tuple[Path, ReadingConfig]]:
        if self._in_memory:
            msg = f"{self.url}: cannot be pickled, since its pixels or its beam are in memory only"
            raise TypeError(msg)
        return type(self), (self.path, self.settings)

    @cached_property
    def url(self) -> str:
        """Path of the image as text, or its name if it is in memory."""
        return path_text(self.path)

    @cached_property
    def header(self) -> Header:
        """FITS header whose first two axes are longitude and latitude; no pixel is read for it."""
        version = self.file_version()
        if version is None:
            return self._format.read_header(self.path, self.settings)
        return _header_of(self.path, self.settings, version)

    @cached_property
    def metadata(self) -> ImageMetadata:
        """Time, frequency, beam and geometry of the image, from its header; no pixel is read for them."""
        return read_metadata(self.header, self.url, self.wcs, self.settings.given_for(self.url))

    @cached_property
    def wcs(self) -> WCS:
        """Celestial projection of the pixels, in ICRS; with origin 0 pixels are array indices."""
        return celestial_wcs(self.header, self.url)

    @cached_property
    def data(self) -> Map:
        """(ny, nx) Jy/beam — the pixels; NaN marks a pixel without data: blank, in a constant area, or off the sky."""
        pixels = _as_floats(self._read_plane() if self._plane is None else self._plane)
        if has_repeats(pixels):
            find_filling(pixels).remove(pixels)
        return self._as_brightness(pixels)

    def cutout(self, rows: slice, columns: slice) -> Map:
        """Return the pixels of a part of the image; if the file can be mapped, only that part is read.

        Parameters
        ----------
        rows, columns
            Slices along y and x, as for ``data``.

        Returns
        -------
        (n_rows, n_columns) Jy/beam
            A copy; NaN marks a pixel without data, as in ``data``.
        """
        if "data" in self.__dict__ or self._plane is None:
            return self.data[rows, columns].copy()
        pixels = _as_floats(self._plane[rows, columns])
        if has_repeats(pixels):
            # Only the whole image shows which values are no data, and how long their runs are.
            if self._filling.run > 1:
                return self.data[rows, columns].copy()
            self._filling.remove(pixels)
        return self._as_brightness(pixels, rows, columns)

    def find_filling(self) -> Filling:
        """Find the constant values that mark pixels without data, in the unit of the file; all pixels are read."""
        pixels = _as_floats(self._plane if self._plane is not None else self._read_plane())
        return find_filling(pixels) if has_repeats(pixels) else Filling()

    @property
    def off_sky_share(self) -> float:
        """Share of the pixels that have no position on the sky."""
        mask = self._off_sky
        return 0.0 if mask is None else float(mask.mean())

    @cached_property
    def content_hash(self) -> str:
        """Hash (128-bit BLAKE2b, hexadecimal) of the whole file; the name of the file does not matter."""
        return self._format.hash_content(self.path)

    @cached_property
    def pixel_hash(self) -> str:
        """Hash (128-bit BLAKE2b, hexadecimal) of the pixels in Jy/beam; the header does not matter."""
        return hashlib.blake2b(np.ascontiguousarray(self.data).data, digest_size=16).hexdigest()

    @cached_property
    def _format(self) -> Format:
        """Module that reads this kind of file."""
        return format_of(self.path)

    @cached_property
    def _plane(self) -> NDArray[Any] | None:
        """Pixels as the file holds them, mapped into memory; None if they must be decompressed or scaled."""
        return self._format.map_plane(self.path, self.settings)

    @cached_property
    def _filling(self) -> Filling:
        """Constant values that mark pixels without data; a process keeps those of a file."""
        if self._in_memory or not self.path.is_file():
            return self.find_filling()
        return _filling_of(self.path, self.settings, self.file_version() or ())

    @property
    def _off_sky(self) -> NDArray[np.bool_] | None:
        """Mask of the pixels off the sky; None if there are none."""
        return off_sky(self.wcs, self.header["NAXIS1"], self.header["NAXIS2"])

    def _read_plane(self) -> NDArray[Any]:
        """Read the pixels as the file holds them, decompressed and scaled."""
        return self._format.read_plane(self.path, self.settings)

    def _as_brightness(self, pixels: Map, rows: slice = _ALL, columns: slice = _ALL) -> Map:
        """Convert pixels of a part of the image to Jy/beam, in place, with NaN off the sky; return them."""
        factor = self._jansky_per_unit(rows, columns)
        if not (isinstance(factor, float) and factor == 1):
            pixels *= np.asarray(factor, np.float32)
            pixels[np.isinf(pixels)] = np.nan
        if self._off_sky is not None:
            pixels[self._off_sky[rows, columns]] = np.nan
        return pixels

    def _jansky_per_unit(self, rows: slice, columns: slice) -> float | Map:
        """Return the factor that converts the pixels of a part of the image to Jy/beam."""
        given = self.settings.given_for(self.url)
        brightness = read_brightness(Keywords(self.header, self.url), given)
        if brightness.kind is Kind.BEAM:
            return brightness.scale
        if brightness.kind is not Kind.PIXEL or is_restored_in_plane(self.wcs):
            return self.metadata.jansky_per_unit
        metadata = self.metadata
        rows, columns = (slice(*part.indices(n)[:2]) for part, n in ((rows, metadata.ny), (columns, metadata.nx)))
        beam = self.require_beam()
        factors = brightness.scale * beam.solid_angle / pixel_areas(self.wcs, rows, columns)
        return np.asarray(factors, np.float32)


@lru_cache(MAX_HEADERS)
def _header_of(path: Path, settings: ReadingConfig, _version: tuple[int, ...]) -> Header:
    """Read the header of a file, or return the one kept: after an image is measured, positions are fitted in it."""
    return format_of(path).read_header(path, settings)


@lru_cache(MAX_HEADERS)
def _filling_of(path: Path, settings: ReadingConfig, _version: tuple[int, ...]) -> Filling:
    """Find the constant values of a file, or return those kept."""
    return Image(path, settings).find_filling()


def _as_floats(plane: NDArray[Any]) -> Map:
    """Convert pixels to float32, as a copy in the order of rows."""
    with np.errstate(over="ignore"):
        # A number too large for 32 bits becomes infinite here, and NaN with other infinite ones.
        return np.array(plane, np.float32, order="C")


def _hash(pixels: NDArray[Any], header: Header) -> str:
    """Hash the header and the pixels of an image in memory."""
    with warnings.catch_warnings():
        # Small violations of the standard come from the sender of the image.
        warnings.simplefilter("ignore", AstropyUserWarning)
        try:
            text = header.tostring()
        except (VerifyError, ValueError):
            text = writable_header(header).tostring()
    digest = hashlib.blake2b(text.encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).tobytes())
    return digest.hexdigest()
