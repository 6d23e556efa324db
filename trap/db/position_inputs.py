"""What the fit of a position needs of an image that was measured before: its mesh, its sources and its calibration."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from sqlalchemy import exists, func, select

from trap.calibration.history import CalibrationHistory
from trap.db.calibrations import CALIBRATION_COLUMNS, load_calibration, stored_calibration
from trap.db.images import load_background
from trap.db.kept_pixels import find_pixels
from trap.db.measurements import load_found_sources
from trap.db.models import Calibration, Image, ImageData, Rejection, Timestep
from trap.errors import DatabaseError

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy import Connection

    from trap.calibration.records import ImageCalibration
    from trap.catalogues import Measurements
    from trap.extraction.mesh import Background

__all__ = ["FitInputs", "load_inputs", "mean_shifts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FitInputs:
    """An image as the fit of a position needs it.

    Parameters
    ----------
    url
        Path of the file.
    kept
        File with all pixels of the image, kept next to the database; None if they are not kept.
    start
        Start of the observation.
    background
        Mesh of background and noise.
    sources
        Blind measurements, as the image shows them.
    calibration
        Its calibration.
    """

    url: str
    kept: Path | None
    start: datetime
    background: Background
    sources: Measurements
    calibration: ImageCalibration


def load_inputs(connection: Connection, image_id: int) -> FitInputs:
    """Load the inputs of fits in an image.

    Parameters
    ----------
    connection, image_id
        Connection in a transaction of the caller, and row number of an image that was searched.

    Raises
    ------
    DatabaseError
        If the image or its mesh is not there any more.
    """
    row = connection.execute(select(Image.url, Image.taustart_ts).where(Image.id == image_id)).first()
    background = load_background(connection, image_id)
    if row is None or background is None:
        msg = f"image {image_id} has no mesh of background and noise in the database; it was deleted meanwhile"
        raise DatabaseError(msg)
    calibration = load_calibration(connection, image_id)
    is_whole = exists().where(ImageData.image == image_id, ImageData.kind == "images")
    kept = find_pixels(connection, [image_id]) if connection.execute(select(is_whole)).scalar_one() else {}
    return FitInputs(
        url=row.url,
        kept=kept.get(image_id),
        start=row.taustart_ts,
        background=background,
        sources=calibration.as_in_image(load_found_sources(connection, image_id)),
        calibration=calibration,
    )


def mean_shifts(connection: Connection, dataset_id: int, image_id: int) -> dict[int, tuple[float, float]]:
    """Return the mean displacement of the images before each image of a sky region, as if fits had been made then.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    image_id
        Row number of an image of the region.

    Returns
    -------
    arcsec, to the east and to the north, by row number of the image. See
    :meth:`trap.calibration.history.CalibrationHistory.mean_shift`.
    """
    start = func.coalesce(Timestep.taustart_ts, Image.taustart_ts).label("start")
    region = select(Image.skyrgn).where(Image.id == image_id).scalar_subquery()
    rows = (
        select(Image.id, Image.late, Image.skyrgn, Timestep.taustart_ts, Image.taustart_ts.label("own"))
        .add_columns(*CALIBRATION_COLUMNS)
        .outerjoin(Timestep, Timestep.id == Image.timestep)
        .outerjoin(Calibration, Calibration.image == Image.id)
        .where(Image.dataset == dataset_id, Image.skyrgn == region, ~exists().where(Rejection.image == Image.id))
        .order_by(start, Image.id)
    )
    known, shifts = CalibrationHistory(), dict[int, tuple[float, float]]()
    for _, group in groupby(connection.execute(rows), key=lambda row: row.taustart_ts or row.own):
        images = list(group)
        shifts |= {row.id: known.mean_shift(0) for row in images}
        for row in images:
            if not row.late:
                known.remember(0, stored_calibration(row))
    return shifts
