"""Searched areas of images in the database, and the negative peaks in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import exists, select

from trap.association.negative_peaks import NegativePeaks
from trap.association.noise_peaks import SearchedArea
from trap.db.models import FrequencyBand, Image, Rejection, RmsMap

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

__all__ = ["AREA_COLUMNS", "area_row", "peak_row", "searched_areas", "stored_area", "stored_peaks"]

AREA_COLUMNS = (
    *(Image.n_pixels, Image.n_beams, Image.n_negative, Image.detection_thresh),
    *(
        Image.deltax,
        Image.deltay,
        RmsMap.nx,
        RmsMap.ny,
        RmsMap.cell_x,
        RmsMap.cell_y,
        RmsMap.negative_tiles,
        RmsMap.negative_depths,
    ),
)
"""Columns of images and of their meshes, by an outer join; :func:`stored_area` also needs the axes of the beam."""


def area_row(area: SearchedArea | None) -> dict[str, Any]:
    """Return the columns of an image for its searched area; NULL without one.

    Parameters
    ----------
    area
        Searched area; None for an image that was not searched.
    """
    return {
        "n_pixels": None if area is None else area.n_pixels,
        "n_beams": None if area is None else area.n_beams,
        "n_negative": None if area is None else area.n_negative,
    }


def stored_area(row: Row[Any]) -> SearchedArea:
    """Return the searched area of an image.

    Images of earlier versions have none. Their area is that of all pixels, with noise that is correlated like the beam,
    and without negative peaks.

    Parameters
    ----------
    row
        Row with :data:`AREA_COLUMNS`, ``rb_smaj`` and ``rb_smin``.
    """
    cell_pixels = row.cell_x * row.cell_y if row.cell_x else 0
    if row.n_pixels is not None:
        return SearchedArea(
            n_pixels=row.n_pixels,
            n_beams=row.n_beams,
            n_negative=row.n_negative,
            threshold=row.detection_thresh,
            cell_pixels=cell_pixels,
        )
    if not row.nx or not row.rb_smaj or not row.rb_smin:
        return SearchedArea()
    n_pixels = row.nx * row.ny
    # The columns of the beam are semi-axes.
    n_beams = round(n_pixels * abs(row.deltax * row.deltay) / (4 * row.rb_smaj * row.rb_smin))
    return SearchedArea(
        n_pixels=n_pixels, n_beams=n_beams, threshold=row.detection_thresh or 0.0, cell_pixels=cell_pixels
    )


def peak_row(peaks: NegativePeaks) -> dict[str, Any]:
    """Return the columns of a mesh for the negative peaks of its image: numbers of tiles and depths.

    Parameters
    ----------
    peaks
        Negative peaks.
    """
    return {
        "negative_tiles": peaks.tile.astype("<i8").tobytes(),
        "negative_depths": peaks.depth.astype("<f8").tobytes(),
    }


def stored_peaks(row: Row[Any]) -> NegativePeaks:
    """Return the negative peaks of an image; images of earlier versions have none.

    Parameters
    ----------
    row
        Row with :data:`AREA_COLUMNS`.
    """
    if row.negative_tiles is None:
        return NegativePeaks.empty()
    return NegativePeaks(tile=np.frombuffer(row.negative_tiles, "<i8"), depth=np.frombuffer(row.negative_depths, "<f8"))


def searched_areas(connection: Connection, dataset_id: int) -> list[tuple[float, int, SearchedArea]]:
    """Return the searched area of all accepted images together, for each band and Stokes parameter.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.

    Returns
    -------
    Central frequency of the band [Hz], FITS code of the Stokes parameter, and area, in their order. Late images and
    images of earlier versions, whose negative peaks were not counted, are left out.
    """
    rows = (
        select(Image.band, Image.stokes, FrequencyBand.freq_central, *AREA_COLUMNS)
        .join(FrequencyBand, FrequencyBand.id == Image.band)
        .outerjoin(RmsMap, RmsMap.image == Image.id)
        .where(Image.dataset == dataset_id, ~Image.late, ~exists().where(Rejection.image == Image.id))
        .where(Image.n_pixels.is_not(None))
    )
    areas: dict[tuple[float, int, int], SearchedArea] = {}
    for row in connection.execute(rows):
        key = (row.freq_central, row.stokes, row.band)
        areas[key] = areas.get(key, SearchedArea()) + stored_area(row)
    return [(frequency, stokes, area) for (frequency, stokes, _), area in sorted(areas.items())]
