"""Table ``varmetric``: the points that its values are computed from, and its only writers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import func, select, update

from trap.db.bulk import is_among, nullable, read_columns, upsert_columns
from trap.db.calibrations import applied_gain
from trap.db.models import (
    AssocXtrSource,
    Calibration,
    ExtractedSource,
    Image,
    NewSource,
    RunningCatalog,
    RunningCatalogFlux,
    Timestep,
    VarMetric,
)
from trap.db.models.base import stored_names
from trap.db.shared_errors import measure_shared_errors, save_shared_errors
from trap.flux_statistics import FLUX_COLUMNS, FLUX_STATISTICS
from trap.variability.metrics import light_curve_metrics, medians
from trap.variability.shared_errors import degrees_of_freedom
from trap.variability.summary import describing_points

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Connection, ScalarSelect

    from trap.association.entries import CatalogueChanges
    from trap.catalogues import VarMetrics
    from trap.typing import Columns, Ids
    from trap.variability.shared_errors import SharedErrors

__all__ = [
    "curve_numbers",
    "flux_statistics",
    "light_curve_points",
    "recompute_metrics",
    "refresh_metrics",
    "rows_of",
    "save_metrics",
    "save_varmetric",
]

NAMES_OF_FLUX = stored_names(RunningCatalogFlux, FLUX_COLUMNS)
KEY = ("runcat", "band", "stokes")
"""Columns that identify a light curve."""


def refresh_metrics(connection: Connection, dataset_id: int) -> Mapping[tuple[int, int], SharedErrors]:
    """Recompute the variability metrics of all light curves of a dataset.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.

    Returns
    -------
    Errors that neighbouring epochs share, measured for these metrics, by row number of the band and Stokes parameter.
    """
    shared = measure_shared_errors(connection, dataset_id)
    save_shared_errors(connection, dataset_id, shared)
    for points in light_curve_points(connection, dataset_id):
        keys, statistics = flux_statistics(connection, dataset_id, points["runcat"])
        columns = recompute_metrics(points, keys, statistics, shared)
        save_varmetric(connection, {name: nullable(values) for name, values in columns.items()})
    return shared


def recompute_metrics(
    points: Columns, keys: Columns, statistics: NDArray[Any], shared: Mapping[tuple[int, int], SharedErrors]
) -> dict[str, NDArray[Any]]:
    """Compute the metrics of entries as they are streamed, with the medians.

    Parameters
    ----------
    points
        Points of whole light curves, as :func:`light_curve_points` yields them.
    keys, statistics
        Flux statistics of the same entries, as :func:`flux_statistics` returns them.
    shared
        Errors that neighbouring epochs share, by row number of the band and Stokes parameter.

    Returns
    -------
    Columns of ``varmetric``, but the spectral index and the candidate; one row per entry. Entries without statistics
    of the band and Stokes parameter that describe them are left out.
    """
    last = describing_points(*(points[name] for name in ("runcat", "timestep", "band", "stokes", "f_int")))
    rows = rows_of({name: points[name][last] for name in KEY}, keys)
    last, rows = last[rows >= 0], rows[rows >= 0]
    curve = curve_numbers(points)
    freedom = degrees_of_freedom(statistics["n"][rows], points["band"][last], points["stokes"][last], shared)
    return {
        **{name: points[name][last] for name in KEY},
        **light_curve_metrics(statistics[rows], freedom),
        "lightcurve_median": medians(curve, points["f_int"])[curve[last]],
    }


def rows_of(wanted: Columns, keys: Columns) -> NDArray[np.int64]:
    """Find light curves among others.

    Parameters
    ----------
    wanted, keys
        ``runcat``, ``band`` and ``stokes`` of the light curves, and of the others.

    Returns
    -------
    (n,) — row of each wanted light curve among the others; -1 for a missing one.
    """
    both = np.stack([np.concatenate([wanted[name], keys[name]]) for name in KEY])
    number = np.unique(both, axis=1, return_inverse=True)[1]
    n_wanted = len(wanted["runcat"])
    rows = np.full(len(number), -1)
    rows[number[n_wanted:]] = np.arange(len(number) - n_wanted)
    found: NDArray[np.int64] = rows[number[:n_wanted]]
    return found


def curve_numbers(points: Columns) -> NDArray[np.intp]:
    """Count the light curves from the first point to each point.

    Parameters
    ----------
    points
        Points as :func:`light_curve_points` yields them, in its order.

    Returns
    -------
    (n,) — number of the light curve of each point, from 0.
    """
    keys = np.stack([points[name] for name in KEY])
    numbers: NDArray[np.intp] = np.cumsum((np.diff(keys, axis=1, prepend=keys[:, :1]) != 0).any(axis=0))
    return numbers


def flux_statistics(
    connection: Connection, dataset_id: int, entries: Ids | None = None
) -> tuple[Columns, NDArray[Any]]:
    """Read the stored flux statistics of a dataset.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    entries
        (n,) — row numbers of entries; entries between the lowest and the highest are read. None for all.

    Returns
    -------
    keys
        ``runcat``, ``band`` and ``stokes`` of each light curve, in order of these.
    statistics
        (n_curves,) of :data:`~trap.flux_statistics.FLUX_STATISTICS`
    """
    table = RunningCatalogFlux.__table__
    keys = [table.c[name] for name in KEY]
    rows = (
        select(*keys, *(table.c[NAMES_OF_FLUX[name]] for name in FLUX_STATISTICS.names or ()))
        .join(RunningCatalog, RunningCatalog.id == table.c.runcat)
        .where(RunningCatalog.dataset == dataset_id)
        .order_by(*keys)
    )
    if entries is not None:
        rows = rows.where(table.c.runcat.between(int(entries.min()), int(entries.max())))
    columns = read_columns(connection, rows)
    statistics = np.zeros(len(columns["runcat"]), FLUX_STATISTICS)
    for name in FLUX_STATISTICS.names or ():
        statistics[name] = columns[NAMES_OF_FLUX[name]]
    return {name: columns[name] for name in KEY}, statistics


def light_curve_points(
    connection: Connection, dataset_id: int, *, columns: Sequence[str] = ("f_int",), n_points: int = 500_000
) -> Iterator[dict[str, NDArray[Any]]]:
    """Read all light curves of a dataset in pieces of whole light curves.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    columns
        Columns of table ``extractedsource``.
    n_points
        Approximate number of points in memory at a time.

    Yields
    ------
    ``runcat``, ``band``, ``stokes`` and ``timestep``, the start of the timestep, with the columns; in order of
    the first three and of time.
    """
    point, source, flux = AssocXtrSource, ExtractedSource, RunningCatalogFlux
    in_dataset = RunningCatalog.dataset == dataset_id
    lengths = (
        select(flux.runcat, func.sum(flux.f_datapoints).label("n"))
        .join(RunningCatalog, RunningCatalog.id == flux.runcat)
        .where(in_dataset)
        .group_by(flux.runcat)
        .order_by(flux.runcat)
    )
    counts = connection.execute(lengths).all()
    piece = np.cumsum([int(row.n) for row in counts]) // n_points
    entries = np.array([row.runcat for row in counts], np.int64)
    images = _image_columns(connection, dataset_id)
    for number in np.unique(piece):
        members = entries[piece == number]
        rows = (
            select(point.runcat, source.image, source.id.label("xtrsrc"))
            .add_columns(*(source.__table__.c[name] for name in columns))
            .join(source, source.id == point.xtrsrc)
            .where(point.runcat.between(int(members[0]), int(members[-1])))
        )
        points = _in_order(read_columns(connection, rows), images)
        if len(points["runcat"]):
            yield points


def _image_columns(connection: Connection, dataset_id: int) -> Columns:
    """Read the images of a dataset in order of their row numbers, with the place of each in time."""
    rows = (
        select(Image.id, Image.band, Image.stokes, Image.taustart_ts, Timestep.taustart_ts.label("timestep"))
        .join(Timestep, Timestep.id == Image.timestep)
        .where(Image.dataset == dataset_id)
        .order_by(Image.id)
    )
    images = read_columns(connection, rows)
    return {**images, "place": np.unique(images["taustart_ts"], return_inverse=True)[1]}


def _in_order(points: Columns, images: Columns) -> dict[str, NDArray[Any]]:
    """Sort points as :func:`light_curve_points` yields them, which is faster than in the database.

    Points of other datasets, whose entries may lie between the ones of this dataset, are left out.
    """
    row = np.searchsorted(images["id"], points["image"])
    is_own = row < len(images["id"])
    is_own[is_own] = images["id"][row[is_own]] == points["image"][is_own]
    row = row[is_own]
    own = {name: values[is_own] for name, values in points.items() if name != "image"}
    own |= {name: images[name][row] for name in ("band", "stokes", "timestep")}
    order = np.lexsort((own["xtrsrc"], images["place"][row], own["stokes"], own["band"], own["runcat"]))
    return {name: values[order] for name, values in own.items() if name != "xtrsrc"}


def save_varmetric(connection: Connection, columns: Mapping[str, Any]) -> None:
    """Insert or update the metrics of entries.

    Parameters
    ----------
    connection
        Open connection; the caller owns the transaction.
    columns
        ``runcat`` and any of the columns of table ``varmetric``; for a new entry ``band``, ``lightcurve_max`` and
        ``lightcurve_avg`` are required.
    """
    upsert_columns(connection, VarMetric, columns, key=("runcat",))


def save_metrics(
    connection: Connection, metrics: VarMetrics, changes: CatalogueChanges, ids: Ids, bands: Sequence[int]
) -> None:
    """Store the metrics of the light curves that changed in a timestep.

    The median is NULL until the end of the run, since it cannot be updated point by point.

    Parameters
    ----------
    connection, metrics
        Connection in a transaction of the caller, and metrics of the changed entries.
    changes
        Changes of the running catalogue.
    ids
        (n_all,) — row number of every entry.
    bands
        Row number of every band of the dataset.
    """
    columns = {
        "runcat": ids[metrics.entry],
        "band": np.array(bands, np.int64)[metrics.band],
        "lightcurve_median": None,
        **{name: nullable(values) for name, values in metrics.as_dict().items() if name not in ("entry", "band")},
    }
    upsert_columns(connection, VarMetric, columns, key=("runcat",))
    _link_candidates(connection, ids[changes.n_before :])


def _link_candidates(connection: Connection, entries: Ids) -> None:
    """Copy the candidate of each new entry, and its ratios to the earlier noise, into its metrics."""
    if not len(entries):
        return

    def candidate(value: Any) -> ScalarSelect[Any]:  # noqa: ANN401 (any column)
        """Select a value of the first candidate of an entry."""
        return (
            select(value)
            .select_from(NewSource)
            .join(ExtractedSource, ExtractedSource.id == NewSource.trigger_xtrsrc)
            .join(Image, Image.id == NewSource.previous_limits_image)
            .outerjoin(Calibration, Calibration.image == Image.id)
            .where(NewSource.runcat == VarMetric.runcat)
            .order_by(NewSource.id)
            .limit(1)
            .correlate(VarMetric)
            .scalar_subquery()
        )

    values = {
        "newsource": candidate(NewSource.id),
        "sigma_rms_min": candidate(func.abs(ExtractedSource.f_int) / func.nullif(Image.rms_min / applied_gain(), 0.0)),
        "sigma_rms_max": candidate(func.abs(ExtractedSource.f_int) / func.nullif(Image.rms_max / applied_gain(), 0.0)),
        "sigma_local": candidate(NewSource.sigma_local),
        "newness": candidate(NewSource.newness),
    }
    connection.execute(update(VarMetric).where(is_among(connection, VarMetric.runcat, entries)).values(values))
