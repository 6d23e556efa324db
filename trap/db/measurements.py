"""Measurements in the database, with the coordinates and errors of TraP's columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import select

from trap import angles
from trap.catalogues import ExtractType, Measurements
from trap.db.bulk import insert_columns, nullable, read_columns, reserve_ids
from trap.db.models import ExtractedSource

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from trap.typing import Ids


__all__ = ["insert_measurements", "load_found_sources"]

SAME_NAME = (
    *("f_peak", "f_peak_err", "f_int", "f_int_err", "chisq", "reduced_chisq", "semimajor", "semiminor", "pa"),
    *("ew_sys_err", "ns_sys_err", "extract_type", "fit_type", "rms", "island", "flags"),
    *("uncertainty_ew", "uncertainty_ns", "error_radius"),
)


def insert_measurements(
    connection: Connection,
    measurements: Measurements,
    images: Ids,
    *,
    entries: Ids | None = None,
    monitors: Ids | None = None,
) -> Ids:
    """Insert measurements of any number of images.

    Parameters
    ----------
    connection
        Open connection; the caller owns the transaction.
    measurements
        (n,) measurements.
    images
        (n,) — row number of the image of each measurement.
    entries, monitors
        (n,) — row number of the catalogue entry, or of the monitored position, of a forced fit; 0 for other
        measurements. None stands for zeros.

    Returns
    -------
    (n,) — row numbers of the measurements.
    """
    ids = reserve_ids(connection, ExtractedSource, len(measurements))
    columns: dict[str, Any] = {name: nullable(getattr(measurements, name)) for name in SAME_NAME}
    columns |= {name: nullable(values) for name, values in _coordinates(measurements).items()}
    columns |= {
        "id": ids,
        "image": images,
        "ff_runcat": [None] * len(ids) if entries is None else _or_null(entries),
        "ff_monitor": [None] * len(ids) if monitors is None else _or_null(monitors),
        "det_sigma": nullable(measurements.significance),
        "x_pix": nullable(measurements.x),
        "y_pix": nullable(measurements.y),
    }
    insert_columns(connection, ExtractedSource, columns | _uncorrected(measurements))
    return ids


def load_found_sources(connection: Connection, image_id: int) -> Measurements:
    """Load the blind measurements of an image, with the columns that forced fits of their neighbours need.

    Parameters
    ----------
    connection, image_id
        Connection in a transaction of the caller, and row number of the image.

    Returns
    -------
    Pixel positions, flux densities and shapes, with the values before calibration; position errors are NaN.
    """
    source = ExtractedSource
    names = ("ra", "f_peak", "f_peak_err", "f_int", "f_int_err", "rms", "semimajor", "semiminor", "pa")
    raw = ("ra_raw", "f_peak_raw", "f_int_raw")
    rows = (
        select(source.x_pix.label("x"), source.y_pix.label("y"), source.decl.label("dec"))
        .add_columns(source.det_sigma.label("significance"), source.decl_raw.label("dec_raw"))
        .add_columns(*(getattr(source, name) for name in (*names, *raw)))
        .where(source.image == image_id, source.extract_type == int(ExtractType.BLIND))
        .order_by(source.id)
    )
    return Measurements.of(**read_columns(connection, rows), ew_fit_err=np.nan, ns_fit_err=np.nan)


def _coordinates(measurements: Measurements) -> dict[str, NDArray[Any]]:
    """Return positions and their errors as differences of coordinates, as TraP stores them.

    The east-west error divided by cos δ is the error of the right ascension. The systematic error is increased as in
    TraP, to the half-width in right ascension of a circle of that radius.
    """
    ra, dec = angles.wrap_ra(measurements.ra), measurements.dec
    x, y, z = angles.unit_vectors(ra, dec).T
    cos_dec = np.cos(np.radians(dec))
    ra_fit_err = measurements.ew_fit_err / cos_dec
    return {
        "ra": ra,
        "decl": dec,
        "zone": np.floor(dec).astype(int),
        "ra_err": np.hypot(ra_fit_err, angles.ra_inflation(measurements.ew_sys_err / 3600.0, dec)),
        "decl_err": measurements.uncertainty_ns,
        "ra_fit_err": ra_fit_err,
        "decl_fit_err": measurements.ns_fit_err,
        "x": x,
        "y": y,
        "z": z,
        "racosdecl": ra * cos_dec,
    }


def _uncorrected(measurements: Measurements) -> dict[str, NDArray[Any]]:
    """Return the values before calibration, and the errors of gains.

    Columns in which nothing changed are left out, since most images need none and NULL takes no time.
    """
    columns = {
        "ra_raw": angles.wrap_ra(measurements.ra_raw),
        "decl_raw": measurements.dec_raw,
        "f_peak_raw": measurements.f_peak_raw,
        "f_int_raw": measurements.f_int_raw,
        "gain_err": np.where(measurements.gain_err == 0, np.nan, measurements.gain_err),
    }
    return {name: nullable(values) for name, values in columns.items() if np.isfinite(values).any()}


def _or_null(ids: Ids) -> list[int | None]:
    return [number or None for number in ids.tolist()]
