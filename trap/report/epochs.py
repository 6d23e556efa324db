"""Cut-outs of a source at each point of its light curve, from kept pixels or from the files of the images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trap.catalogues import ExtractType
from trap.config import stokes_letter
from trap.errors import ImageError, TransientError, TrapError
from trap.images.cutouts import read_cutout
from trap.images.image import read_image
from trap.images.kept_pixels import read_kept_cutout
from trap.report.text import flux_text, megahertz, moment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from trap.config import ReadingConfig
    from trap.images.cutouts import CutOut
    from trap.images.metadata import ImageMetadata
    from trap.typing import Columns

__all__ = ["is_same_look", "read_epoch", "read_epochs", "select_epochs"]

FREQUENCY_TOLERANCE = 1e-6
"""Largest relative difference between the frequencies of a file and of its image in the database."""
_KINDS = {ExtractType.BLIND: "detection", ExtractType.JOINT: "joint"}
"""Kinds of measurements in words; the others are forced."""


def select_epochs(points: Columns, limit: int) -> Columns:
    """Select the consecutive points of a light curve around its first detection, a third of them earlier.

    Parameters
    ----------
    points
        Columns of :func:`trap.db.lightcurves.light_curve`.
    limit
        Largest number of points.

    Returns
    -------
    The same columns with at most ``limit`` rows.
    """
    is_blind = points["extract_type"] == ExtractType.BLIND
    first = int(np.argmax(is_blind)) - limit // 3
    start = max(0, min(first, len(is_blind) - limit))
    return {name: values[start : start + limit] for name, values in points.items()}


def read_epochs(
    points: Columns, ra: float, dec: float, *, kept: Mapping[int, Path], settings: ReadingConfig
) -> tuple[list[CutOut], list[str]]:
    """Read a cut-out for each point of a light curve.

    Parameters
    ----------
    points
        Columns of :func:`trap.db.lightcurves.light_curve`.
    ra, dec
        deg, ICRS — position.
    kept
        Files with kept pixels, by row number of the image. Images without one are read from their own files.
    settings
        Settings for reading the images.

    Returns
    -------
    cutouts
        Cut-outs in the order of the points.
    missing
        Reason for each image without a cut-out.

    Raises
    ------
    TrapError
        If no image can be read.
    """
    cutouts, missing = [], []
    for i, image in enumerate(points["image"].tolist()):
        look = {name: values[i] for name, values in points.items()}
        try:
            cutouts.append(read_epoch(look, ra, dec, kept=kept.get(image), settings=settings))
        except (ImageError, TransientError) as error:
            missing.append(str(error))
    if not cutouts:
        msg = f"no image of this source can be read: {missing[0]}" if missing else "this source has no image"
        raise TrapError(msg)
    return cutouts, missing


def read_epoch(
    look: Mapping[str, Any],
    ra: float,
    dec: float,
    *,
    kept: Path | None,
    settings: ReadingConfig,
    size: int | None = None,
) -> CutOut:
    """Read a cut-out from the kept pixels of an image, or from its file if that still holds the same observation.

    Parameters
    ----------
    look
        ``url``, ``taustart_ts``, ``freq_eff`` and ``stokes`` of the image; with ``f_int``, ``f_int_err`` and
        ``extract_type`` if the source was measured there, for the title.
    ra, dec
        deg, ICRS — position.
    kept
        File with kept pixels; None without one.
    settings
        Settings for reading the image.
    size
        pix — width and height; None is the usual one.

    Raises
    ------
    ImageError
        If neither file can be read, the file holds another observation, or it does not cover the position.
    TransientError
        If the file system fails.
    """
    title = _title(look)
    cutout = None if kept is None else read_kept_cutout(kept, ra, dec, title=title, size=size)
    if cutout is not None:
        return cutout
    url = str(look["url"])
    image = read_image(url, settings)
    if not is_same_look(image.metadata, look):
        msg = f"not the image of {moment(look['taustart_ts'])} any more, by its time and frequency"
        raise ImageError(msg, url=url)
    cutout = read_cutout(image, ra, dec, title=title, size=size)
    if cutout is None:
        msg = "does not cover the position"
        raise ImageError(msg, url=url)
    return cutout


def is_same_look(metadata: ImageMetadata, look: Mapping[str, Any]) -> bool:
    """Return whether a file still holds the image of the database, by its header: a hash would read the whole file.

    Parameters
    ----------
    metadata
        Metadata of the file.
    look
        ``taustart_ts`` and ``freq_eff`` of the image.
    """
    same_time = moment(metadata.taustart_ts) == moment(look["taustart_ts"])
    return same_time and bool(np.isclose(metadata.freq_eff, look["freq_eff"], rtol=FREQUENCY_TOLERANCE, atol=0))


def _title(look: Mapping[str, Any]) -> str:
    """Return the time, frequency, Stokes parameter and flux density of a point, and the kind of measurement."""
    stokes = stokes_letter(look["stokes"])
    title = f"{moment(look['taustart_ts'])}\n{megahertz(look['freq_eff'])} MHz, Stokes {stokes}"
    if look.get("extract_type") is None:
        return title
    kind = _KINDS.get(ExtractType(look["extract_type"]), "forced")
    flux, error = flux_text(look["f_int"], look["f_int_err"])
    return f"{title}\n{flux} ± {error} mJy, {kind}"
