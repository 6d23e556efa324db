"""Table ``epochcorrelation``: the errors that neighbouring epochs share, and the epochs that they leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import delete, func, select

from trap.config import stokes_letter
from trap.db.bulk import insert_columns, is_among, read_columns
from trap.db.models import (
    AssocXtrSource,
    EpochCorrelation,
    ExtractedSource,
    FrequencyBand,
    Image,
    RunningCatalog,
    RunningCatalogFlux,
)
from trap.variability.shared_errors import MIN_CURVES, MIN_POINTS, SharedErrors, measure_correlation
from trap.variability.summary import total_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from trap.typing import Columns, Ids

    Shared = dict[tuple[int, int], SharedErrors]

__all__ = ["effective_epochs", "load_shared_errors", "measure_shared_errors", "read_correlations", "save_shared_errors"]

MAX_CURVES = 500
MAX_POINTS = 200_000
"""Approximate number of points that are examined at most; more would improve nothing, and take time."""


def measure_shared_errors(connection: Connection, dataset_id: int) -> Shared:
    """Measure the errors that neighbouring epochs share, from a sample of the light curves of a dataset.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.

    Returns
    -------
    Shared errors by row number of the band and Stokes parameter, without independent ones.
    """
    entries = _sample(connection, dataset_id)
    if not len(entries):
        return {}
    points = _points_in_order(connection, dataset_id, entries)
    keys, number = np.unique(np.stack([points["band"], points["stokes"]]), axis=1, return_inverse=True)
    shared = {}
    for i, (band, stokes) in enumerate(keys.T.tolist()):
        chosen = {name: values[number.ravel() == i] for name, values in points.items()}
        curve, epoch = (np.unique(chosen[name], return_inverse=True)[1] for name in ("runcat", "timestep"))
        errors = total_errors(chosen["f_int_err"], np.nan_to_num(chosen["gain_err"]), chosen["f_int"])
        lags = measure_correlation(curve, epoch, chosen["f_int"], errors)
        if len(lags):
            shared[band, stokes] = SharedErrors(lags=lags)
    return shared


def read_correlations(connection: Connection, dataset_id: int) -> dict[tuple[float, str, int], float]:
    """Read the stored correlations of a dataset by what they mean, for comparison with another dataset.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.

    Returns
    -------
    Correlations by frequency of the band [Hz], letter of the Stokes parameter, and lag.
    """
    stored = EpochCorrelation
    rows = (
        select(FrequencyBand.freq_central, stored.stokes, stored.lag, stored.correlation)
        .join(FrequencyBand, FrequencyBand.id == stored.band)
        .where(FrequencyBand.dataset == dataset_id)
    )
    return {(freq, stokes_letter(stokes), lag): value for freq, stokes, lag, value in connection.execute(rows)}


def _points_in_order(connection: Connection, dataset_id: int, entries: Ids) -> Columns:
    """Read the light curves of entries, each in order of time; numpy sorts them faster than the database."""
    point, source = AssocXtrSource, ExtractedSource
    rows = (
        select(point.runcat, source.image, source.id, source.f_int, source.f_int_err, source.gain_err)
        .join(source, source.id == point.xtrsrc)
        .where(is_among(connection, point.runcat, entries))
    )
    points = read_columns(connection, rows)
    of_dataset = select(Image.id, Image.band, Image.stokes, Image.timestep).where(Image.dataset == dataset_id)
    images = read_columns(connection, of_dataset.order_by(Image.taustart_ts, Image.id))
    by_id = np.argsort(images["id"])
    place = by_id[np.searchsorted(images["id"], points["image"], sorter=by_id)]
    points |= {name: images[name][place] for name in ("band", "stokes", "timestep")}
    order = np.lexsort((points["id"], place, points["runcat"]))
    return {name: values[order] for name, values in points.items()}


def _sample(connection: Connection, dataset_id: int) -> Ids:
    """Choose entries with long light curves, spread evenly over the sky, for every band and Stokes parameter.

    The choice depends on the positions of the entries, not on their row numbers.
    """
    entry, flux = RunningCatalog, RunningCatalogFlux
    rows = (
        select(flux.runcat, flux.band, flux.stokes, flux.f_datapoints, entry.wm_ra, entry.wm_decl)
        .join(entry, entry.id == flux.runcat)
        .where(entry.dataset == dataset_id, flux.f_datapoints >= MIN_POINTS)
    )
    curves = read_columns(connection, rows)
    order = np.lexsort([curves[name] for name in ("wm_decl", "wm_ra", "stokes", "band")])
    keys = np.stack([curves["band"], curves["stokes"]])[:, order]
    parts = np.split(order, np.flatnonzero((np.diff(keys, axis=1) != 0).any(axis=0)) + 1)
    lengths = [int(curves["f_datapoints"][part].max()) for part in parts if len(part)]
    limit = min(max(MAX_POINTS // max(sum(lengths), 1), 2 * MIN_CURVES), MAX_CURVES)
    chosen = [
        part[np.linspace(0, len(part) - 1, min(limit, len(part))).round().astype(int)]
        for part in parts
        if len(part) >= MIN_CURVES
    ]
    return np.unique(curves["runcat"][np.concatenate([np.empty(0, np.int64), *chosen])])


def save_shared_errors(connection: Connection, dataset_id: int, shared: Mapping[tuple[int, int], SharedErrors]) -> None:
    """Replace the stored shared errors of a dataset.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    shared
        Shared errors by row number of the band and Stokes parameter.
    """
    bands = select(FrequencyBand.id).where(FrequencyBand.dataset == dataset_id)
    connection.execute(delete(EpochCorrelation).where(EpochCorrelation.band.in_(bands)))
    for (band, stokes), errors in shared.items():
        lag = np.arange(1, len(errors.lags) + 1)
        columns = {"band": band, "stokes": stokes, "lag": lag, "correlation": errors.lags}
        insert_columns(connection, EpochCorrelation, columns)


def load_shared_errors(connection: Connection, dataset_id: int) -> Shared:
    """Load the stored shared errors of a dataset, by row number of the band and Stokes parameter.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    """
    stored = EpochCorrelation
    rows = (
        select(stored.band, stored.stokes, stored.correlation)
        .join(FrequencyBand, FrequencyBand.id == stored.band)
        .where(FrequencyBand.dataset == dataset_id)
        .order_by(stored.band, stored.stokes, stored.lag)
    )
    lags: dict[tuple[int, int], list[float]] = {}
    for band, stokes, correlation in connection.execute(rows):
        lags.setdefault((band, stokes), []).append(correlation)
    return {key: SharedErrors(lags=np.array(values)) for key, values in lags.items()}


def effective_epochs(connection: Connection, dataset_id: int) -> Columns:
    """Count the epochs of the longest light curves, and the independent epochs that have the same distribution of η.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.

    Returns
    -------
    ``freq_central`` [Hz], ``stokes``, ``n_epochs`` and ``n_effective``, for the bands and Stokes parameters with shared
    errors.
    """
    shared = load_shared_errors(connection, dataset_id)
    flux = RunningCatalogFlux
    longest = (
        select(flux.band, flux.stokes, FrequencyBand.freq_central, func.max(flux.f_datapoints).label("n_epochs"))
        .join(FrequencyBand, FrequencyBand.id == flux.band)
        .where(FrequencyBand.dataset == dataset_id)
        .group_by(flux.band, flux.stokes, FrequencyBand.freq_central)
        .order_by(FrequencyBand.freq_central, flux.stokes)
    )
    rows = [row for row in connection.execute(longest) if (row.band, row.stokes) in shared] if shared else []
    n_epochs = np.array([row.n_epochs for row in rows], np.int64)
    freedom = [shared[row.band, row.stokes].freedom(n_epochs[i : i + 1])[0] for i, row in enumerate(rows)]
    columns: dict[str, NDArray[Any]] = {
        "freq_central": np.array([row.freq_central for row in rows], float),
        "stokes": np.array([row.stokes for row in rows], np.int64),
        "n_epochs": n_epochs,
        "n_effective": np.concatenate([np.empty(0), *freedom]) + 1,
    }
    return columns
