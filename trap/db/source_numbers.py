"""A few numbers of every source of a dataset, for charts: arrays, without an object for each of a million rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import func, literal, select

from trap.db.models import Dataset, NewSource, RunningCatalog, RunningCatalogFlux, Timestep, VarMetric
from trap.db.models.base import stored_names
from trap.db.variable_sources import n_points, of_dataset, only_light_curves
from trap.flux_statistics import FLUX_COLUMNS
from trap.variability.metrics import modulation_v, weighted_eta

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sqlalchemy import Connection, Select

__all__ = ["candidate_positions", "dataset_state", "entry_positions", "metric_points"]

CHUNK = 20_000
CACHE_KIB = 2_048
_POINT = np.dtype([("runcat", "i4"), ("eta", "f8"), ("v", "f8"), ("n", "i4"), ("stokes", "i2")])
_POSITION = np.dtype([("runcat", "i4"), ("ra", "f8"), ("dec", "f8")])


def dataset_state(connection: Connection, dataset_id: int) -> tuple[Any, ...]:
    """Return values that change when the results of a dataset change: of its runs, and of its timesteps.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    """
    steps = select(func.count(), func.max(Timestep.stored_ts)).where(Timestep.dataset == dataset_id)
    runs = select(Dataset.state, Dataset.rerun, Dataset.process_start_ts, Dataset.process_end_ts)
    found = connection.execute(runs.where(Dataset.id == dataset_id)).one_or_none()
    return (*connection.execute(steps).one(), *(found or ()))


def metric_points(
    connection: Connection,
    dataset_id: int,
    *,
    flux: str = "int",
    band: int | None = None,
    stokes: int | None = None,
) -> dict[str, NDArray[Any]]:
    """Return η and V of every source of a dataset.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    flux
        "int" or "peak" — kind of flux density.
    band
        Row number of the band; None takes the brightest band of each source, whose metrics are stored.
    stokes
        Stokes parameter as FITS numbers it; None takes the one of the brightest point.

    Returns
    -------
    ``runcat``, ``eta``, ``v`` (absolute for Stokes parameters other than I, whose mean may be negative; 0 where the
    mean is zero), ``n`` (number of points) and ``candidate``, whether it is one; (n,) each, in any order.
    """
    if band is None:
        points = _stored_points(connection, dataset_id, flux, stokes)
    else:
        points = _points_of_band(connection, dataset_id, flux, band, 1 if stokes is None else stokes)
    columns = {name: np.ascontiguousarray(points[name]) for name in ("runcat", "eta", "v", "n")}
    np.copyto(columns["v"], np.abs(columns["v"]), where=points["stokes"] != 1)
    columns["candidate"] = np.isin(columns["runcat"], candidate_positions(connection, dataset_id)["runcat"])
    return columns


def entry_positions(connection: Connection, dataset_id: int) -> NDArray[Any]:
    """Return the positions of all entries of a dataset, in any order.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.

    Returns
    -------
    (n,) with fields ``runcat``, and ``ra`` and ``dec`` [deg]
    """
    entry = RunningCatalog
    # A chart shows most of the table, which is read faster than an index of the dataset and then its entries.
    rows = select(entry.id, entry.wm_ra, entry.wm_decl).where((entry.dataset + 0) == dataset_id)
    return _read(connection, rows, _POSITION)


def candidate_positions(connection: Connection, dataset_id: int) -> NDArray[Any]:
    """Return the positions of the transient candidates of a dataset, as :func:`entry_positions` does.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    """
    entry = RunningCatalog
    # The candidates are the way in: they are few, while an index of the dataset would read all its entries.
    rows = select(entry.id, entry.wm_ra, entry.wm_decl).join(NewSource, NewSource.runcat == entry.id)
    return _read(connection, rows.where((entry.dataset + 0) == dataset_id), _POSITION)


def _stored_points(connection: Connection, dataset_id: int, flux: str, stokes: int | None) -> NDArray[Any]:
    """Read the metrics of the brightest bands."""
    metric = VarMetric
    eta, v = (getattr(metric, f"{name}_{flux}") for name in ("eta", "v"))
    only = only_light_curves(connection, dataset_id)
    of_stokes = func.coalesce(metric.stokes, 1) if only is None else literal(only[1])
    rows = select(
        *(metric.runcat, func.coalesce(eta, 0.0), func.coalesce(v, 0.0), func.coalesce(n_points(), 1), of_stokes)
    ).where(*of_dataset(connection, dataset_id))
    points = _read(connection, rows, _POINT)
    return points if stokes is None else points[points["stokes"] == stokes]


def _points_of_band(connection: Connection, dataset_id: int, flux: str, band: int, stokes: int) -> NDArray[Any]:
    """Compute the metrics of the light curves of a band from their statistics."""
    table = RunningCatalogFlux.__table__
    stored = stored_names(RunningCatalogFlux, FLUX_COLUMNS)
    names = ("n", f"mean_f_{flux}", f"m2_f_{flux}", f"wm2_f_{flux}")
    rows = select(table.c.runcat, *(table.c[stored[name]] for name in names)).where(
        table.c.band == band, table.c.stokes == stokes, *of_dataset(connection, dataset_id, RunningCatalogFlux.runcat)
    )
    kinds = [("runcat", "i4"), ("n", "i4"), *((name, "f8") for name in names[1:])]
    statistics = _read(connection, rows, np.dtype(kinds))
    points = np.zeros(len(statistics), _POINT)
    points["runcat"], points["n"] = statistics["runcat"], statistics["n"]
    points["eta"] = weighted_eta(statistics, f"f_{flux}")
    points["v"] = np.nan_to_num(modulation_v(statistics, f"f_{flux}"))
    points["stokes"] = stokes
    return points


def _read(connection: Connection, rows: Select[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Read rows of numbers, none of them NULL, into an array of records."""
    if connection.dialect.name == "sqlite":
        # A table that is read once, from its start to its end, needs no cache of 64 MB.
        connection.exec_driver_sql(f"PRAGMA cache_size = -{CACHE_KIB}")
        # SQLAlchemy would make an object of each row, which takes longer than reading it from SQLite.
        result = connection.execute(rows, execution_options={"yield_per": None, "stream_results": False})
        found = np.fromiter(iter(result.cursor.fetchone, None), dtype)
        result.close()
        return found
    streamed = connection.execute(rows, execution_options={"yield_per": CHUNK})
    return np.fromiter((tuple(row) for row in streamed), dtype)
