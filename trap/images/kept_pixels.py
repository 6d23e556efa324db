"""Pixels kept next to a database, as FITS files: whole images, or cut-outs of them.

The name of a file is made from the content of the image, so that writing it again changes nothing. Files are written
under another name and renamed, so that no file is ever incomplete. If writing fails, the timestep is retried.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits
from astropy.nddata import Cutout2D, NoOverlapError
from astropy.wcs import WCS

from trap.errors import TransientError
from trap.images.headers.projection import celestial_wcs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from trap.images.image import Image
    from trap.typing import Array, Map

__all__ = ["cut_out", "keep_cutouts", "keep_image", "read_cutout"]

CUTOUT_BEAMS = 12
"""Width of a cut-out, in beam major axes: room for a source and its neighbours."""
MIN_PIXELS = 16
"""Smallest width of a cut-out, in pixels."""


def keep_image(image: Image, path: Path) -> None:
    """Write all pixels [Jy/beam] of an image, with its projection and beam.

    Parameters
    ----------
    image
        The image.
    path
        File to write; its folder is created, and an existing file is replaced.

    Raises
    ------
    TransientError
        If the file cannot be written.
    """
    _write(path, [fits.PrimaryHDU(image.data, _header(image, image.wcs))])


def keep_cutouts(image: Image, path: Path, ra: Array, dec: Array) -> None:
    """Write the pixels [Jy/beam] around positions in an image, each in its own extension.

    Parameters
    ----------
    image
        The image.
    path
        File to write; its folder is created, and an existing file is replaced.
    ra, dec
        (n,) deg — positions; positions outside the image are left out.

    Raises
    ------
    TransientError
        If the file cannot be written.
    """
    size = _cutout_pixels(image)
    hdus: list[fits.PrimaryHDU | fits.ImageHDU] = [fits.PrimaryHDU()]
    for position in zip(ra.tolist(), dec.tolist(), strict=True):
        part = cut_out(image.data, image.wcs, *position, size=size)
        if part is not None:
            header = _header(image, part.wcs)
            header["RA_SRC"], header["DEC_SRC"] = position
            hdus.append(fits.ImageHDU(part.data, header))
    _write(path, hdus)


def read_cutout(path: Path, ra: float, dec: float, *, size: int | None = None) -> Map | None:
    """Read the pixels around a position from a kept file, with a whole image or with cut-outs.

    Parameters
    ----------
    path
        Kept file.
    ra, dec
        deg — position.
    size
        pixel — width and height; None uses the size of kept cut-outs.

    Returns
    -------
    (size, size) Jy/beam
        NaN outside the image; None if the file is missing or does not show the position.
    """
    try:
        with fits.open(path) as hdus:
            parts = [
                cut_out(hdu.data, celestial_wcs(hdu.header), ra, dec, size=size or int(hdu.header["CUTOUT"]))
                for hdu in hdus
                if hdu.data is not None
            ]
    except (OSError, KeyError):
        return None
    inside = [part for part in parts if part is not None]
    if not inside:
        return None
    # Cut-outs of close sources overlap: the part with the most pixels shows the position best.
    best: Map = max(inside, key=lambda part: int(np.isfinite(part.data).sum())).data
    return best


def cut_out(pixels: Map, wcs: WCS, ra: float, dec: float, *, size: int) -> Cutout2D | None:
    """Cut the pixels around a position out of an image.

    Parameters
    ----------
    pixels
        (ny, nx) — pixels of the image.
    wcs
        Celestial projection of the pixels.
    ra, dec
        deg — position.
    size
        pixel — width and height.

    Returns
    -------
    (size, size) with its projection
        NaN outside the image; None if the position is not on the image.
    """
    x, y = (float(value) for value in wcs.all_world2pix(ra, dec, 0))
    ny, nx = pixels.shape
    if not (-0.5 <= x < nx - 0.5 and -0.5 <= y < ny - 0.5):
        return None
    try:
        return Cutout2D(pixels, (x, y), size, wcs=wcs, mode="partial", fill_value=np.nan, copy=True)
    except NoOverlapError:
        return None


def _cutout_pixels(image: Image) -> int:
    """Return the width and height of the cut-outs of an image, in pixels."""
    metadata = image.metadata
    bmaj = 0.0 if metadata.beam is None else metadata.beam.bmaj
    return max(MIN_PIXELS, int(np.ceil(CUTOUT_BEAMS * bmaj / abs(metadata.deltay))))


def _header(image: Image, wcs: WCS) -> fits.Header:
    """Create the header of kept pixels: projection, frequency, start, beam, and size of the cut-outs."""
    header = wcs.to_header()
    header["BUNIT"] = "JY/BEAM"
    header["RESTFRQ"] = image.metadata.freq_eff
    header["DATE-OBS"] = image.metadata.taustart_ts.replace(tzinfo=None).isoformat()
    beam = image.metadata.beam
    if beam is not None:
        header["BMAJ"], header["BMIN"], header["BPA"] = beam.bmaj, beam.bmin, beam.bpa
    header["CUTOUT"] = _cutout_pixels(image)
    return header


def _write(path: Path, hdus: Sequence[fits.PrimaryHDU | fits.ImageHDU]) -> None:
    """Write HDUs to a file, by way of a partial file that is renamed when it is complete."""
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fits.HDUList(list(hdus)).writeto(part, overwrite=True)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        msg = f"{path}: cannot write the pixels to keep: {error}"
        raise TransientError(msg) from error
