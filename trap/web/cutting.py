"""Pixels for the pages, read in a worker process: cut-outs, and whole images at a lower resolution.

A file may be large, on a slow disk, or hang. The process that reads it can be ended, and only it imports the readers of
images, which take 100 MB.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from trap.config import ReadingConfig
    from trap.images.image import Image
    from trap.typing import Array

__all__ = ["Overview", "Part", "find_position", "read_overview", "read_part"]

STRIP_PIXELS = 4_000_000
"""Number of pixels that are averaged at once: 16 MB."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """The pixels of an image around a source, with the marks on them; x and y are those of the pixels, from 0.

    Parameters
    ----------
    pixels
        (n, n) Jy/beam — NaN where there is no value.
    position
        x, y of the source.
    scale
        arcsec — size of a pixel.
    north, east
        (2,) — unit vectors along the axes of the pixels.
    beam
        (n, 2) pix — outline of the beam at half maximum around (0, 0); empty without a beam.
    neighbours
        (n, 2) — x, y of other sources; NaN for a place off the projection.
    """

    pixels: NDArray[np.float32]
    position: tuple[float, float]
    scale: float
    north: Array
    east: Array
    beam: Array
    neighbours: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overview:
    """A whole image at a lower resolution.

    Parameters
    ----------
    pixels
        (ny, nx) Jy/beam — means of squares of pixels, NaN where no pixel has a value.
    step
        pix — side of a square.
    shape
        (ny, nx) of the image.
    middle, noise, brightest
        Jy/beam — median, noise from the median absolute deviation, and highest value of the means; NaN without any.
    """

    pixels: NDArray[np.float32]
    step: int
    shape: tuple[int, int]
    middle: float
    noise: float
    brightest: float


def read_part(
    look: Mapping[str, Any],
    position: tuple[float, float],
    neighbours: Sequence[tuple[float, float]],
    *,
    kept: Path | None,
    settings: ReadingConfig,
) -> Part:
    """Read the pixels around a source from kept pixels or from the file of an image.

    Parameters
    ----------
    look
        ``url``, ``taustart_ts``, ``freq_eff`` and ``stokes`` of the image, as for
        :func:`trap.report.epochs.read_epoch`.
    position
        deg — position of the source.
    neighbours
        deg — positions of other sources.
    kept
        File with kept pixels; None without one.
    settings
        Settings for reading the image.

    Raises
    ------
    ImageError
        If no pixels can be read.
    TransientError
        If the file system fails.
    """
    from trap.report.epochs import read_epoch  # noqa: PLC0415 (compiled code, which only the worker needs)

    cutout = read_epoch(look, *position, kept=kept, settings=settings)
    places = np.array(neighbours, float).reshape(-1, 2)
    if len(places) and cutout.wcs is not None:
        places = np.transpose(cutout.wcs.all_world2pix(*places.T, 0, quiet=True))
    return Part(
        pixels=cutout.pixels,
        position=cutout.position,
        scale=cutout.scale,
        north=cutout.north,
        east=cutout.east,
        beam=cutout.beam,
        neighbours=places,
    )


def read_overview(look: Mapping[str, Any], *, side: int, kept: Path | None, settings: ReadingConfig) -> Overview:
    """Read an image at a lower resolution, strip by strip if its file can be mapped into memory.

    Parameters
    ----------
    look, settings
        As for :func:`read_part`.
    side
        Largest number of pixels along one axis of the result.
    kept
        File with all pixels of the image; None reads the file of the image.

    Raises
    ------
    ImageError
        If no pixels can be read, or the file holds another image now.
    TransientError
        If the file system fails.
    """
    image = _open(look, kept, settings)
    metadata = image.metadata
    step = max(1, math.ceil(max(metadata.nx, metadata.ny) / side))
    pixels = _averaged(image, (metadata.ny, metadata.nx), step)
    values = pixels[np.isfinite(pixels)]
    middle = float(np.median(values)) if values.size else math.nan
    noise = 1.4826 * float(np.median(np.abs(values - middle))) if values.size else math.nan
    return Overview(
        pixels=pixels,
        step=step,
        shape=(metadata.ny, metadata.nx),
        middle=middle,
        noise=noise,
        brightest=float(values.max()) if values.size else math.nan,
    )


def find_position(
    look: Mapping[str, Any], pixel: tuple[float, float], *, kept: Path | None, settings: ReadingConfig
) -> tuple[float, float]:
    """Return the position of a place in an image.

    Parameters
    ----------
    look, kept, settings
        As for :func:`read_overview`.
    pixel
        pix — x and y; 0 is the centre of the first column and row.

    Returns
    -------
    ra, dec
        deg, ICRS

    Raises
    ------
    ImageError
        If the file cannot be read, holds another image now, or shows no sky at this place.
    TransientError
        If the file system fails.
    """
    ra, dec = map(float, _open(look, kept, settings).wcs.all_pix2world(*pixel, 0))
    if not (math.isfinite(ra) and math.isfinite(dec)):
        msg = f"the pixel at {pixel[0]:g}, {pixel[1]:g} is not on the sky"
        raise ImageError(msg, url=str(look["url"]))
    return ra % 360.0, dec


def _open(look: Mapping[str, Any], kept: Path | None, settings: ReadingConfig) -> Image:
    """Open an image, or its kept pixels. A file that holds another image now is refused."""
    from trap.images.image import read_image  # noqa: PLC0415 (compiled code, which only the worker needs)
    from trap.report.epochs import is_same_look  # noqa: PLC0415 (as above)

    image = read_image(str(look["url"]) if kept is None else kept, settings)
    if kept is None and not is_same_look(image.metadata, look):
        msg = "the file holds another image now, by its time and frequency"
        raise ImageError(msg, url=str(look["url"]))
    return image


def _averaged(image: Image, shape: tuple[int, int], step: int) -> NDArray[np.float32]:
    """Average squares of pixels; those at the last row and column may reach beyond the image."""
    ny, nx = shape
    rows_at_once = step * max(1, STRIP_PIXELS // (step * nx))
    strips = []
    for start in range(0, ny, rows_at_once):
        strip = image.cutout(slice(start, min(start + rows_at_once, ny)), slice(0, nx))
        pad = [(0, -len(strip) % step), (0, -nx % step)]
        padded = np.pad(strip, pad, constant_values=np.nan) if any(end for _, end in pad) else strip
        squares = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step)
        is_known = np.isfinite(squares)
        number = is_known.sum(axis=(1, 3))
        total = np.where(is_known, squares, 0).sum(axis=(1, 3), dtype=float)
        strips.append(np.where(number > 0, total / np.maximum(number, 1), np.nan).astype(np.float32))
    return np.concatenate(strips)
