"""Pixels kept next to a database, as FITS files: whole images, or cut-outs of them.

The name of a file is made from the content of the image, so that writing it again changes nothing. Files are written
under another name and renamed, so that no file is ever incomplete. If writing fails, the timestep is retried.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits

from trap.errors import ImageError, TransientError
from trap.images.cutouts import cut_out, cutout_size, read_cutout
from trap.images.image import Image

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from astropy.wcs import WCS

    from trap.images.cutouts import CutOut
    from trap.typing import Array

__all__ = ["keep_cutouts", "keep_image", "read_kept_cutout"]


def keep_image(image: Image, path: Path) -> None:
    """Write all pixels [Jy/beam] of an image, with its projection and beam.

    Parameters
    ----------
    image
        Image whose pixels are kept.
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
    image, path
        As for :func:`keep_image`.
    ra, dec
        (n,) deg, ICRS — positions; positions outside the image are left out.

    Raises
    ------
    TransientError
        If the file cannot be written.
    """
    size = cutout_size(image.metadata)
    hdus: list[fits.PrimaryHDU | fits.ImageHDU] = [fits.PrimaryHDU()]
    for position in zip(ra.tolist(), dec.tolist(), strict=True):
        part = cut_out(image, *position, size=size)
        if part is not None:
            header = _header(image, part.wcs)
            header["RA_SRC"], header["DEC_SRC"] = position
            hdus.append(fits.ImageHDU(part.data, header))
    _write(path, hdus)


def read_kept_cutout(path: Path, ra: float, dec: float, *, title: str = "", size: int | None = None) -> CutOut | None:
    """Read the surroundings of a position from a file of kept pixels, of either kind.

    Parameters
    ----------
    path
        File that :func:`keep_image` or :func:`keep_cutouts` wrote.
    ra, dec
        deg, ICRS — position.
    title
        Title of the cut-out.
    size
        pix — width and height; None is the width of the kept cut-outs.

    Returns
    -------
    CutOut or None
        None if the file cannot be read or does not show the position.
    """
    try:
        with fits.open(path) as hdus:
            parts = [
                read_cutout(image, ra, dec, title=title, size=size or image.header.get("CUTOUT"))
                for image in _kept_images(path, hdus)
            ]
    except (OSError, ImageError):
        return None
    on_image = [part for part in parts if part is not None]
    # Cut-outs of close sources overlap: the part with the most pixels shows the position best.
    return max(on_image, key=lambda part: int(np.isfinite(part.pixels).sum()), default=None)


def _kept_images(path: Path, hdus: fits.HDUList) -> Iterator[Image]:
    """Yield the whole image of a file, which is read lazily, or its cut-outs."""
    if hdus[0].header["NAXIS"]:
        yield Image(path)
    for hdu in hdus[1:]:
        yield Image.from_array(hdu.data, hdu.header, str(path))


def _header(image: Image, wcs: WCS) -> fits.Header:
    """Make the header of kept pixels: projection, unit, frequencies, time, beam, and the width of a cut-out."""
    header = wcs.to_header()
    header["BUNIT"] = "JY/BEAM"
    header["RESTFRQ"], header["RESTBW"] = image.metadata.freq_eff, image.metadata.freq_bw
    header["DATE-OBS"] = image.metadata.taustart_ts.replace(tzinfo=None).isoformat()
    beam = image.metadata.beam
    if beam is not None:
        header["BMAJ"], header["BMIN"], header["BPA"] = beam.bmaj, beam.bmin, beam.bpa
    header["CUTOUT"] = cutout_size(image.metadata)
    return header


def _write(path: Path, hdus: Sequence[fits.PrimaryHDU | fits.ImageHDU]) -> None:
    """Write a file under another name and then rename it, so that it is never incomplete."""
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
