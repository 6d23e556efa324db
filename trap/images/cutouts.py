"""Cut-outs: the pixels of an image around a position, with the beam and the directions on the sky."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from astropy.nddata import Cutout2D

if TYPE_CHECKING:
    from astropy.wcs import WCS
    from numpy.typing import NDArray

    from trap.images.beam import Beam
    from trap.images.image import Image
    from trap.images.metadata import ImageMetadata
    from trap.typing import Array

__all__ = ["CutOut", "cut_out", "cutout_size", "read_cutout"]

WIDTH_BEAMS = 12
"""Width of a cut-out in major axes (FWHM) of the beam: room for a source and its neighbours."""
MIN_SIZE, MAX_SIZE = 25, 801
"""Limits of the width in pixels. The larger one covers 12 beams of every beam that passes the default checks."""
STEP_DEG = 1e-4
"""Distance over which the directions of north and east are measured: small compared with any curvature."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CutOut:
    """The pixels of an image around a position.

    Parameters
    ----------
    title
        Title of the plot.
    pixels
        (n, n) Jy/beam — NaN outside the image, and if there is no value.
    position
        x, y of the position among the pixels; the centre of the first pixel is 0.
    scale
        arcsec — size of a pixel.
    north, east
        (2,) — unit vectors along the axes of the pixels.
    beam
        (n, 2) pixels — outline of the beam at half maximum around (0, 0); empty without a beam.
    wcs
        Projection of the pixels; None leaves it out.
    restoring
        Restoring beam; None without one.
    """

    title: str
    pixels: NDArray[np.float32]
    position: tuple[float, float]
    scale: float
    north: Array
    east: Array
    beam: Array
    wcs: WCS | None = None
    restoring: Beam | None = None


def read_cutout(image: Image, ra: float, dec: float, *, title: str = "", size: int | None = None) -> CutOut | None:
    """Read the surroundings of a position from an image. Formats that can be mapped are read there only.

    Parameters
    ----------
    image
        Image to read from.
    ra, dec
        deg, ICRS — position.
    title
        Title of the cut-out.
    size
        pix — width and height; None is :func:`cutout_size`.

    Returns
    -------
    CutOut or None
        None if the position is not on the image.

    Raises
    ------
    ImageError
        If the image cannot be read.
    """
    metadata = image.metadata
    part = cut_out(image, ra, dec, size=size or cutout_size(metadata))
    if part is None:
        return None
    scale = abs(metadata.deltay)
    x, y = part.input_position_original
    north = np.array(image.wcs.all_world2pix(ra, dec + STEP_DEG, 0, quiet=True)) - (x, y)
    north /= np.hypot(*north)
    handedness = np.sign(metadata.deltax * metadata.deltay)
    east = handedness * np.array([north[1], -north[0]])
    rows, columns = part.slices_original
    first_row, first_column = (inside.start for inside in part.slices_cutout)
    return CutOut(
        title=title,
        pixels=part.data,
        position=(x - columns.start + first_column, y - rows.start + first_row),
        scale=3600 * scale,
        north=north,
        east=east,
        beam=_beam_outline(metadata, north, east) / scale,
        wcs=part.wcs,
        restoring=metadata.beam,
    )


def cut_out(image: Image, ra: float, dec: float, *, size: int) -> Cutout2D | None:
    """Cut the pixels around a position out of an image, with their projection.

    Parameters
    ----------
    image, ra, dec
        Image to read from, and the position (deg, ICRS).
    size
        pix — width and height.

    Returns
    -------
    Cutout2D or None
        Pixels in Jy/beam, NaN outside the image; None if the position is not on the image.
    """
    ny, nx = image.metadata.ny, image.metadata.nx
    x, y = (float(value) for value in image.wcs.all_world2pix(ra, dec, 0, quiet=True))
    if not (-0.5 <= x < nx - 0.5 and -0.5 <= y < ny - 0.5):
        return None
    # The cut is made in an array without memory of its own, so that only the pixels of the part are read.
    empty = np.broadcast_to(np.float32(0), (ny, nx))
    part = Cutout2D(empty, (x, y), size, wcs=image.wcs, mode="partial", fill_value=np.nan, copy=True)
    part.data[part.slices_cutout] = image.cutout(*part.slices_original)
    return part


def cutout_size(metadata: ImageMetadata) -> int:
    """Return the width of an image's cut-outs in pixels: ``WIDTH_BEAMS`` beams, an odd number within limits."""
    bmaj = 0.0 if metadata.beam is None else metadata.beam.bmaj
    size = int(np.clip(np.ceil(WIDTH_BEAMS * bmaj / abs(metadata.deltay)), MIN_SIZE, MAX_SIZE))
    # In an odd number of pixels the position lies in the central one.
    return size | 1


def _beam_outline(metadata: ImageMetadata, north: Array, east: Array) -> Array:
    """Return the outline of the beam at half maximum, (n, 2) deg; empty without a beam."""
    beam = metadata.beam
    if beam is None:
        return np.empty((0, 2))
    angle, phase = np.radians(beam.bpa), np.linspace(0, 2 * np.pi, 73)[:, None]
    major = np.cos(angle) * north + np.sin(angle) * east
    minor = np.cos(angle) * east - np.sin(angle) * north
    return np.asarray((beam.bmaj * np.cos(phase) * major + beam.bmin * np.sin(phase) * minor) / 2)
