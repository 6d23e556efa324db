"""Cut-outs of a source at each point of its light curve, from kept pixels or from the files of the images."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    from trap.typing import Columns

__all__ = ["read_epochs", "select_epochs"]

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
        title = _title(points, i)
        cutout = read_kept_cutout(kept[image], ra, dec, title=title) if image in kept else None
        if cutout is None:
            try:
                cutout = _read_file(points, i, ra, dec, title=title, settings=settings)
            except (ImageError, TransientError) as error:
                missing.append(str(error))
                continue
        cutouts.append(cutout)
    if not cutouts:
        msg = f"no image of this source can be read: {missing[0]}" if missing else "this source has no image"
        raise TrapError(msg)
    return cutouts, missing


def _read_file(points: Columns, i: int, ra: float, dec: float, *, title: str, settings: ReadingConfig) -> CutOut:
    """Read the cut-out of a point from the file of its image, if the file still holds the same observation."""
    url = str(points["url"][i])
    image = read_image(url, settings)
    metadata = image.metadata
    # A hash would read the whole file. The header shows whether another image has taken the name.
    same_time = moment(metadata.taustart_ts) == moment(points["taustart_ts"][i])
    if not (same_time and np.isclose(metadata.freq_eff, points["freq_eff"][i], rtol=FREQUENCY_TOLERANCE, atol=0)):
        msg = f"not the image of {moment(points['taustart_ts'][i])} any more, by its time and frequency"
        raise ImageError(msg, url=url)
    cutout = read_cutout(image, ra, dec, title=title)
    if cutout is None:
        msg = "does not cover the position"
        raise ImageError(msg, url=url)
    return cutout


def _title(points: Columns, i: int) -> str:
    """Return the time, frequency, Stokes parameter and flux density of a point, and the kind of measurement."""
    kind = _KINDS.get(ExtractType(points["extract_type"][i]), "forced")
    stokes = stokes_letter(points["stokes"][i])
    flux, error = flux_text(points["f_int"][i], points["f_int_err"][i])
    return (
        f"{moment(points['taustart_ts'][i])}\n{megahertz(points['freq_eff'][i])} MHz, Stokes {stokes}\n"
        f"{flux} ± {error} mJy, {kind}"
    )
