"""Calibrations of images in the database, equal to those in memory to the last bit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, select

from trap.calibration.displacement import NO_DISPLACEMENT, Displacement
from trap.calibration.records import Astrometry, FluxScale, ImageCalibration
from trap.db.bulk import insert_columns, read_columns
from trap.db.models import Calibration, FrequencyBand, Image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Case, Connection, Row

    from trap.typing import Columns

__all__ = [
    "CALIBRATION_COLUMNS",
    "applied_gain",
    "calibrations",
    "insert_calibrations",
    "load_calibration",
    "stored_calibration",
]

OF_POSITIONS = {
    "reference": "position_reference",
    "n_matches": "n_position_matches",
    "model": "position_model",
    "is_applied": "position_applied",
    **{name: name for name in ("shift_ew", "shift_ns", "shift_ew_err", "shift_ns_err", "ew_sys_err", "ns_sys_err")},
    "scatter_before": "position_scatter_before",
    "scatter": "position_scatter",
    "note": "position_note",
}
"""Columns of fields of :class:`~trap.calibration.records.Astrometry`; the displacement is stored as JSON."""
OF_FLUXES = {
    "reference": "flux_reference",
    "n_matches": "n_flux_matches",
    "is_applied": "flux_applied",
    "gain": "gain",
    "gain_err": "gain_err",
    "offset": "flux_offset",
    "offset_err": "flux_offset_err",
    "scatter": "flux_scatter",
    "note": "flux_note",
}
"""Columns of fields of :class:`~trap.calibration.records.FluxScale`."""
OF_IMAGE = {
    **{name: name for name in ("n_calibrators", "compactness", "compactness_err", "patch_gain", "patch_snr")},
    "patch_ra": "patch_ra",
    "patch_dec": "patch_decl",
}
"""Columns of the other fields of :class:`~trap.calibration.records.ImageCalibration`."""

CALIBRATION_COLUMNS = tuple(
    column for name, column in Calibration.__table__.columns.items() if name not in ("id", "image")
)
"""Columns of the table that :func:`stored_calibration` needs."""


def insert_calibrations(
    connection: Connection, ids: Sequence[int], image_calibrations: Sequence[ImageCalibration]
) -> None:
    """Insert the calibrations of images.

    Parameters
    ----------
    connection
        Open connection; the caller owns the transaction.
    ids
        (n,) — row numbers of the images.
    image_calibrations
        (n,) — their calibrations.
    """
    rows = [{"image": number, **_row(one)} for number, one in zip(ids, image_calibrations, strict=True)]
    if rows:
        insert_columns(connection, Calibration, {name: [row[name] for row in rows] for name in rows[0]})


def load_calibration(connection: Connection, image_id: int) -> ImageCalibration:
    """Load the calibration of an image that was searched.

    Parameters
    ----------
    connection, image_id
        Open connection, and row number of the image with the calibration.

    Returns
    -------
    The calibration; the default one if none is stored.
    """
    row = connection.execute(select(*CALIBRATION_COLUMNS).where(Calibration.image == image_id)).first()
    return ImageCalibration() if row is None else stored_calibration(row)


def stored_calibration(row: Row[Any]) -> ImageCalibration:
    """Return the calibration that a row holds.

    Parameters
    ----------
    row
        Row with :data:`CALIBRATION_COLUMNS`; all are NULL if an outer join finds no calibration.
    """
    values = row._mapping  # noqa: SLF001 (SQLAlchemy's name of the columns of a row)
    if values["position_model"] is None:
        return ImageCalibration()
    text = values["displacement"]
    displacement = NO_DISPLACEMENT if text is None else Displacement.from_json(text)
    return ImageCalibration(
        astrometry=Astrometry(**_fields(values, OF_POSITIONS), displacement=displacement),
        flux_scale=FluxScale(**_fields(values, OF_FLUXES)),
        **_fields(values, OF_IMAGE),
    )


def applied_gain() -> Case[Any]:
    """Return the SQL expression of the gain that flux densities were divided by; 1 for an uncorrected image.

    Images are outer-joined with their calibrations.
    """
    return case((Calibration.flux_applied, Calibration.gain), else_=1.0)


def calibrations(connection: Connection, dataset_id: int) -> Columns:
    """Return the calibrations of all searched images of a dataset, in order of time and frequency.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.

    Returns
    -------
    ``image`` and its ``url``, ``taustart_ts`` (UTC), ``freq_central`` [Hz] and number of the ``band``, ``stokes``, and
    all columns of table ``calibration``; (n,) each.
    """
    rows = (
        select(Calibration.image, Image.url, Image.taustart_ts, FrequencyBand.freq_central, Image.band, Image.stokes)
        .add_columns(*CALIBRATION_COLUMNS)
        .join(Image, Image.id == Calibration.image)
        .outerjoin(FrequencyBand, FrequencyBand.id == Image.band)  # see trap.db.lightcurves
        .where(Image.dataset == dataset_id)
        .order_by(Image.taustart_ts, FrequencyBand.freq_central, Image.stokes, Image.id)
    )
    return read_columns(connection, rows)


def _row(calibration: ImageCalibration) -> dict[str, Any]:
    """Return the columns of a calibration."""
    astrometry, scale = calibration.astrometry, calibration.flux_scale
    parts = ((astrometry, OF_POSITIONS), (scale, OF_FLUXES), (calibration, OF_IMAGE))
    columns = {column: _stored(getattr(part, name)) for part, names in parts for name, column in names.items()}
    is_displaced = astrometry.displacement != NO_DISPLACEMENT
    return columns | {"displacement": astrometry.displacement.as_json() if is_displaced else None}


def _stored(value: Any) -> Any:  # noqa: ANN401 (text, a number or a truth value)
    """Return None for NaN, as a built-in type."""
    if isinstance(value, str | bool | int):
        return value
    return None if math.isnan(value) else float(value)


def _fields(values: Any, names: dict[str, str]) -> dict[str, Any]:  # noqa: ANN401 (a mapping of SQLAlchemy)
    """Return the fields of a record by name, with NaN for NULL."""
    return {name: math.nan if values[column] is None else values[column] for name, column in names.items()}
