"""Positions that were measured on demand: the images that may show one, and the points that are kept of it.

No result of a dataset depends on these rows. This module imports no part of the pipeline, so that a server reads them
quickly; :mod:`trap.db.position_inputs` loads what the fits need.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sqlalchemy import exists, func, select

from trap import __version__, angles
from trap.codes import ExtractType
from trap.db.bulk import is_among, nullable, read_columns, upsert_columns
from trap.db.datasets import find_dataset
from trap.db.models import FrequencyBand, Image, PositionFit, PositionPoint, Rejection, RmsMap
from trap.db.overview import images_near
from trap.retry import STORE_DELAYS, call_with_retries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from trap.db.reader import Reader
    from trap.typing import Columns, Indices

__all__ = [
    "PositionKept",
    "count_fitted_images",
    "find_position",
    "images_at",
    "join_points",
    "keep_points",
    "kept_positions",
    "missing_images",
    "no_points",
    "points_of",
    "read_position",
]

SAME_PLACE = 1e-7
"""deg — largest difference of the coordinates of one position: the last digit of a position in a link."""
VALUES = tuple(name for name in PositionPoint.__table__.columns.keys() if name not in ("id", "fit"))  # noqa: SIM118
"""Columns of a point: the image, and the values of the fit."""
_WORDS = {"reason": "O", "is_read": "?", "image": "i8", "flags": "i8"}
"""Types of the columns that are no floating-point numbers."""


class PositionKept(NamedTuple):
    """A position whose points are kept.

    Parameters
    ----------
    id
        Row number.
    ra, dec
        deg, ICRS — position.
    made, changed
        Times when it was measured for the first time, and when its newest points were stored.
    software_version
        Version of the software that measured these points.
    state
        ``"done"`` or ``"partial"``.
    """

    id: int
    ra: float
    dec: float
    made: datetime
    changed: datetime
    software_version: str
    state: str


def images_at(connection: Connection, dataset_id: int, ra: float, dec: float) -> Columns:
    """Return the accepted images with pixels that may show a position, in order of time. No file is opened.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    ra, dec
        deg, ICRS — position.

    Returns
    -------
    ``image`` (row number), ``url``, ``taustart_ts`` (UTC), ``tau_time`` [s], ``band``, ``stokes``, ``freq_eff`` and
    ``freq_central`` (of the band) [Hz], ``late``.

    Raises
    ------
    DatasetNotFoundError
        If the dataset does not exist.
    """
    find_dataset(connection, dataset_id)
    rows = (
        select(Image.id.label("image"), Image.url, Image.taustart_ts, Image.tau_time, Image.band, Image.stokes)
        .add_columns(Image.freq_eff, FrequencyBand.freq_central, Image.late)
        .join(RmsMap, RmsMap.image == Image.id)
        .outerjoin(FrequencyBand, FrequencyBand.id == Image.band)  # see trap.db.lightcurves
        .where(is_among(connection, Image.id, images_near(connection, [dataset_id], ra, dec)))
        .where(RmsMap.nx > 0, ~exists().where(Rejection.image == Image.id))
        .order_by(Image.taustart_ts, FrequencyBand.freq_central, Image.stokes, Image.id)
    )
    return read_columns(connection, rows)


def count_fitted_images(connection: Connection, dataset_id: int) -> int:
    """Return the number of accepted images with pixels of a dataset, wherever they are on the sky.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    """
    rows = select(func.count()).select_from(Image).join(RmsMap, RmsMap.image == Image.id)
    accepted = rows.where(Image.dataset == dataset_id, RmsMap.nx > 0, ~exists().where(Rejection.image == Image.id))
    return int(connection.execute(accepted).scalar_one())


def find_position(connection: Connection, dataset_id: int, ra: float, dec: float) -> PositionKept | None:
    """Find a position whose points are kept; None if there is none.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    ra, dec
        deg, ICRS — position.
    """
    fit = PositionFit
    near = fit.decl.between(dec - SAME_PLACE, dec + SAME_PLACE)
    rows = select(fit.id, fit.ra, fit.decl, fit.made_ts, fit.changed_ts, fit.software_version, fit.state)
    for row in connection.execute(rows.where(fit.dataset == dataset_id, near).order_by(fit.id)):
        if float(angles.separation(row.ra, row.decl, ra, dec)) <= SAME_PLACE:
            return PositionKept(*row)
    return None


def kept_positions(connection: Connection, dataset_id: int) -> Columns:
    """Return the positions whose points are kept, the newest first.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.

    Returns
    -------
    ``ra``, ``decl`` [deg], ``made_ts``, ``changed_ts``, ``software_version``, ``state``, and the numbers ``n_points``
    (images), ``n_measured`` (with a flux density), ``n_unread`` (files that could not be read).
    """
    fit, point = PositionFit, PositionPoint
    rows = (
        select(fit.ra, fit.decl, fit.made_ts, fit.changed_ts, fit.software_version, fit.state)
        .add_columns(func.count(point.id).label("n_points"), func.count(point.f_int).label("n_measured"))
        .add_columns(func.count(point.id).filter(~point.is_read).label("n_unread"))
        .outerjoin(point, point.fit == fit.id)
        .where(fit.dataset == dataset_id)
        .group_by(fit.id)
        .order_by(fit.changed_ts.desc(), fit.id.desc())
    )
    return read_columns(connection, rows)


def read_position(connection: Connection, kept: PositionKept) -> Columns:
    """Return the points of a position, in the order of their images.

    Parameters
    ----------
    connection, kept
        Connection in a transaction of the caller, and the position.

    Returns
    -------
    The columns of :func:`points_of`.
    """
    rows = select(*(getattr(PositionPoint, name) for name in VALUES)).where(PositionPoint.fit == kept.id)
    return read_columns(connection, rows.order_by(PositionPoint.image))


def points_of(points: Sequence[Mapping[str, Any]]) -> Columns:
    """Collect the points of a position.

    Parameters
    ----------
    points
        (n,) — points; values that a point lacks are NaN.

    Returns
    -------
    (n,) values by name: the columns of table ``positionpoint`` without its row numbers.
    """
    missing = {"reason": "", "is_read": True, "flags": 0, "gain": 1.0}
    return {
        name: np.array([point.get(name, missing.get(name, np.nan)) for point in points], _WORDS.get(name, "f8"))
        for name in VALUES
    }


def no_points() -> Columns:
    """Return the columns of no point."""
    return points_of(())


def missing_images(images: Columns, points: Columns) -> NDArray[np.int64]:
    """Return the images to be measured: images without a point, and images whose files could not be read.

    Parameters
    ----------
    images
        Columns of :func:`images_at`.
    points
        Columns of :func:`points_of`.
    """
    settled = points["image"][points["is_read"].astype(bool)]
    missing: NDArray[np.int64] = images["image"][~np.isin(images["image"], settled)]
    return missing


def keep_points(
    reader: Reader, dataset_id: int, place: tuple[float, float], points: Columns, *, is_complete: bool
) -> None:
    """Store points of a position, in one transaction; a point replaces an earlier one of the same image.

    Parameters
    ----------
    reader, dataset_id
        Database, and number of the dataset.
    place
        deg, ICRS — right ascension in [0, 360) and declination.
    points
        (n,) — columns of :func:`points_of`.
    is_complete
        Whether all images have been measured now.

    Raises
    ------
    DatasetNotFoundError
        If the dataset does not exist any more.
    DatabaseError, TransientError
        If the database is read-only, or does not answer.
    """

    def attempt() -> None:
        with reader.write() as connection:
            find_dataset(connection, dataset_id)
            state, is_new = "done" if is_complete else "partial", len(points["image"]) > 0
            fit = _insert_position(connection, dataset_id, place, state, is_new=is_new)
            values = {name: nullable(column) if column.dtype.kind == "f" else column for name, column in points.items()}
            upsert_columns(connection, PositionPoint, {**values, "fit": fit}, key=("fit", "image"))

    call_with_retries(attempt, STORE_DELAYS)


def _insert_position(
    connection: Connection, dataset_id: int, place: tuple[float, float], state: str, *, is_new: bool
) -> int:
    """Insert a position, or update it if it is kept already; return its row number.

    The time and the version of a position that is kept change with new points only.
    """
    kept, now = find_position(connection, dataset_id, *place), datetime.now(UTC)
    if kept is None:
        kept = PositionKept(0, *place, now, now, __version__, state)
    elif is_new:
        kept = kept._replace(changed=now, software_version=__version__)
    row = {"dataset": dataset_id, "ra": kept.ra, "decl": kept.dec, "made_ts": kept.made, "changed_ts": kept.changed}
    columns = {name: [value] for name, value in {**row, "state": state}.items()}
    columns["software_version"] = [kept.software_version]
    # Another server may insert the same position meanwhile.
    upsert_columns(connection, PositionFit, columns, key=("dataset", "ra", "decl"))
    same = (PositionFit.dataset == dataset_id, PositionFit.ra == kept.ra, PositionFit.decl == kept.dec)
    return int(connection.execute(select(PositionFit.id).where(*same)).scalar_one())


def join_points(images: Columns, points: Columns) -> Columns:
    """Return the points of a position with the times and frequencies of their images, in order of time.

    Parameters
    ----------
    images
        Columns of :func:`images_at`.
    points
        Columns of :func:`points_of`; points of other images, which were rejected meanwhile, are left out.

    Returns
    -------
    Both, and ``extract_type``, so that a light curve is drawn of them.
    """
    rows = _rows_of(points["image"], images["image"])
    found, place = np.flatnonzero(rows >= 0), rows[rows >= 0]
    curve = {name: values[found] for name, values in images.items()}
    curve |= {name: values[place] for name, values in points.items() if name != "image"}
    return {**curve, "extract_type": np.full(len(found), int(ExtractType.MONITORED))}


def _rows_of(numbers: NDArray[np.int64], wanted: NDArray[np.int64]) -> Indices:
    """Return the rows of wanted numbers among others; -1 for a number that is not there."""
    if not numbers.size:
        return np.full(len(wanted), -1)
    order = np.argsort(numbers)
    place = order[np.minimum(np.searchsorted(numbers, wanted, sorter=order), len(numbers) - 1)]
    return np.where(numbers[place] == wanted, place, -1)
