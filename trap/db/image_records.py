"""Records about one image: its detections by class, its noise mesh, and the images before and after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import func, or_, select

from trap.codes import AssociationType, ExtractType, Flag
from trap.db.bulk import read_columns
from trap.db.models import AssocXtrSource, ExtractedSource, Image, NewSource, RmsMap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, Connection

    from trap.typing import Columns, Map

__all__ = [
    "DETECTION_CLASSES",
    "WARNINGS",
    "NoiseMesh",
    "adjacent_image",
    "count_detections",
    "image_detections",
    "noise_mesh",
]

DETECTION_CLASSES: Mapping[str, str] = {
    "blind": "blind",
    "forced": "forced",
    "monitored": "monitored",
    "new": "new source",
    "candidates": "candidates",
    "flagged": "flagged",
    "all": "all",
}
"""Classes of measurements of an image, with their names for people."""
WARNINGS = sum(Flag) - Flag.POINT_LIKE
"""Flags of measurements that are flagged: to be like a point is no fault of a source."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NoiseMesh:
    """The noise of an image in the cells of its mesh.

    Parameters
    ----------
    rms
        (my, mx) Jy/beam — noise of the cells.
    shape
        (ny, nx) pix — size of the image.
    origin
        x, y pix — first pixel of the first cell.
    cell
        x, y pix — size of a cell.
    """

    rms: Map
    shape: tuple[int, int]
    origin: tuple[int, int]
    cell: tuple[int, int]


def noise_mesh(connection: Connection, image: int) -> NoiseMesh | None:
    """Return the noise mesh of an image; None if the image was not searched, or is a mere list of sources.

    Parameters
    ----------
    connection, image
        Connection in a transaction of the caller, and row number of the image.
    """
    mesh = RmsMap
    rows = select(mesh.nx, mesh.ny, mesh.origin_x, mesh.origin_y, mesh.cell_x, mesh.cell_y)
    rows = rows.add_columns(mesh.mesh_nx, mesh.mesh_ny, mesh.mesh_rms).where(mesh.image == image)
    row = connection.execute(rows).first()
    if row is None or not row.nx:
        return None
    rms = np.frombuffer(row.mesh_rms, "<f4").reshape(row.mesh_ny, row.mesh_nx).astype(np.float32)
    return NoiseMesh(
        rms=rms,
        shape=(row.ny, row.nx),
        origin=(row.origin_x, row.origin_y),
        cell=(row.cell_x, row.cell_y),
    )


def count_detections(connection: Connection, image: int) -> dict[str, int]:
    """Return the number of measurements of an image in each of :data:`DETECTION_CLASSES`.

    Parameters
    ----------
    connection, image
        Connection in a transaction of the caller, and row number of the image.
    """
    return {
        name: int(connection.execute(select(func.count()).where(*_conditions(name, image))).scalar_one())
        for name in DETECTION_CLASSES
    }


def image_detections(connection: Connection, image: int, name: str, *, limit: int) -> Columns:
    """Return the measurements of an image of one class, the most significant ones first.

    Parameters
    ----------
    connection, image
        Connection in a transaction of the caller, and row number of the image.
    name
        Class of :data:`DETECTION_CLASSES`.
    limit
        Largest number of measurements.

    Returns
    -------
    ``xtrsrc``, ``runcat`` (None for a measurement that belongs to no entry), ``x_pix``, ``y_pix`` [pix], ``ra``,
    ``decl`` [deg], ``f_peak`` [Jy/beam], ``f_int`` [Jy] with their errors, ``det_sigma``, ``extract_type`` and
    ``flags``.
    """
    source = ExtractedSource
    entry = select(func.min(AssocXtrSource.runcat)).where(AssocXtrSource.xtrsrc == source.id)
    rows = (
        select(source.id.label("xtrsrc"), entry.correlate(source).scalar_subquery().label("runcat"))
        .add_columns(source.x_pix, source.y_pix, source.ra, source.decl, source.f_peak, source.f_peak_err)
        .add_columns(source.f_int, source.f_int_err, source.det_sigma, source.extract_type, source.flags)
        .where(*_conditions(name, image))
        .order_by(func.abs(source.det_sigma).desc().nulls_last(), source.id)
        .limit(limit)
    )
    return read_columns(connection, rows)


def adjacent_image(connection: Connection, dataset_id: int, image: int, *, back: bool = False) -> int | None:
    """Return the image after another one, in order of time and of row numbers; None at the end.

    Parameters
    ----------
    connection, dataset_id, image
        Connection in a transaction of the caller, number of the dataset, and row number of the image.
    back
        Whether to return the image before it.
    """
    start = select(Image.taustart_ts).where(Image.id == image).scalar_subquery()
    time, number = Image.taustart_ts, Image.id
    if back:
        beyond, order = or_(time < start, (time == start) & (number < image)), (time.desc(), number.desc())
    else:
        beyond, order = or_(time > start, (time == start) & (number > image)), (time.asc(), number.asc())
    rows = select(number).where(Image.dataset == dataset_id, beyond).order_by(*order).limit(1)
    found = connection.execute(rows).scalar()
    return None if found is None else int(found)


def _conditions(name: str, image: int) -> list[ColumnElement[bool]]:
    """Return the conditions of the measurements of a class."""
    source: Any = ExtractedSource
    of_image = [source.image == image]
    if name == "new":
        types = (AssociationType.NEW_SOURCE, AssociationType.MONITOR_FIRST)
        new = select(AssocXtrSource.xtrsrc).where(AssocXtrSource.type.in_([int(each) for each in types]))
        return [*of_image, source.id.in_(new.where(AssocXtrSource.xtrsrc == source.id).correlate(source))]
    if name == "candidates":
        return [*of_image, source.id.in_(select(NewSource.trigger_xtrsrc))]
    kind = source.extract_type
    special: dict[str, list[ColumnElement[bool]]] = {
        "blind": [kind == int(ExtractType.BLIND)],
        "forced": [kind.in_([int(ExtractType.NULL_DETECTION), int(ExtractType.JOINT)])],
        "monitored": [kind == int(ExtractType.MONITORED)],
        "flagged": [source.flags.bitwise_and(WARNINGS) != 0],
        "all": [],
    }
    return [*of_image, *special[name]]
