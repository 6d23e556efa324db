"""A check of the values that a run computes from light curves: they are computed again from the stored points."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import select

from trap.db.bulk import read_columns
from trap.db.metrics import KEY, curve_numbers, flux_statistics, light_curve_points, recompute_metrics, rows_of
from trap.db.models import Dataset, FrequencyBand, RunningCatalog, VarMetric
from trap.db.shared_errors import load_shared_errors
from trap.flux_statistics import FLUX_STATISTICS
from trap.variability.metrics import spectral_index, whole_light_curves
from trap.variability.summary import STOKES_I, same_numbers, total_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from trap.typing import Array, Columns, Ids

    Wrong = dict[str, list[int]]

__all__ = ["wrong_metrics"]

MEASURED = ("f_peak", "f_peak_err", "f_int", "f_int_err", "gain_err")
ROUNDING = 1e-10
"""Rounding error of streamed deviations, relative to the flux density."""


def wrong_metrics(connection: Connection) -> Iterator[str]:
    """Compute flux statistics and variability metrics again, and yield the columns that differ.

    Flux statistics are computed from the points of light curves, in two passes; ``varmetric`` from the flux statistics
    of the band and Stokes parameter that describe the entry. Values that are NULL are not compared: the median during a
    run, and metrics that are newer than the light curve.

    Parameters
    ----------
    connection
        Open connection; the caller owns the transaction.
    """
    wrong: Wrong = defaultdict(list)
    for number in connection.scalars(select(Dataset.id).order_by(Dataset.id)).all():
        bands = connection.execute(
            select(FrequencyBand.id, FrequencyBand.freq_central).where(FrequencyBand.dataset == number)
        )
        shared = load_shared_errors(connection, number)
        frequencies = {row.id: row.freq_central for row in bands}
        for points in light_curve_points(connection, number, columns=MEASURED):
            keys, statistics = flux_statistics(connection, number, points["runcat"])
            _compare_statistics(points, keys, statistics, wrong)
            columns = recompute_metrics(points, keys, statistics, shared)
            columns |= _spectral_indices(columns["runcat"], keys, statistics, frequencies)
            _compare_metrics(columns, _stored_metrics(connection, number, points["runcat"]), wrong)
    for column, entries in wrong.items():
        yield f"{len(entries)} values of {column} differ from their light curves, the first of entry {entries[0]}"


def _compare_statistics(points: Columns, keys: Columns, statistics: NDArray[Any], wrong: Wrong) -> None:
    """Compare streamed flux statistics with the points. Missing light curves are the subject of other rules."""
    curve = curve_numbers(points)
    gain_err = np.nan_to_num(points["gain_err"])
    fluxes = {
        name: (points[name], total_errors(points[f"{name}_err"], gain_err, points[name]))
        for name in ("f_peak", "f_int")
    }
    computed = whole_light_curves(curve, fluxes)
    first = np.flatnonzero(np.diff(curve, prepend=-1))
    rows = rows_of({name: points[name][first] for name in KEY}, keys)
    ours, theirs = computed[rows >= 0], statistics[rows[rows >= 0]]
    runcat = points["runcat"][first][rows >= 0]
    highest = np.zeros(len(computed))
    np.maximum.at(highest, curve, np.maximum(np.abs(points["f_int"]), np.abs(points["f_peak"])))
    highest = ROUNDING * highest[rows >= 0]
    for name in FLUX_STATISTICS.names or ():
        if name in {"vs_f_int", "m_f_int"}:
            continue  # They depend on the order of the points.
        a, b = ours[name].astype(float), theirs[name].astype(float)
        if name.startswith(("m2", "wm2")):
            # The deviations of a source are rounded with its flux density, in units of its error if they are weighted.
            weight = ours["n"] if name.startswith("m2") else ours[f"wsum{name.removeprefix('wm2')}"]
            same = same_numbers(np.sqrt(a), np.sqrt(np.abs(b)), highest * np.sqrt(weight))
        else:
            same = same_numbers(a, b, highest if "mean" in name else 0.0)
        _note(wrong, f"runningcatalog_flux.{name}", runcat[~same])


def _stored_metrics(connection: Connection, dataset_id: int, entries: Ids) -> Columns:
    """Read the metrics of a range of entries."""
    rows = (
        select(VarMetric.__table__)
        .join(RunningCatalog, RunningCatalog.id == VarMetric.runcat)
        .where(RunningCatalog.dataset == dataset_id)
        .where(VarMetric.runcat.between(int(entries.min()), int(entries.max())))
        .order_by(VarMetric.runcat)
    )
    return read_columns(connection, rows)


def _compare_metrics(columns: Columns, stored: Columns, wrong: Wrong) -> None:
    """Compare metrics of entries. Entries without metrics are the subject of another rule."""
    runcat, ours, theirs = np.intersect1d(columns["runcat"], stored["runcat"], return_indices=True)
    for name in columns:
        a, b = columns[name][ours].astype(float), stored[name][theirs].astype(float)
        _note(wrong, f"varmetric.{name}", runcat[~(same_numbers(a, b) | np.isnan(b))])


def _spectral_indices(
    entries: Ids, keys: Columns, statistics: NDArray[Any], frequencies: dict[int, float]
) -> dict[str, Array]:
    """Fit the spectral index of each entry to the weighted means of Stokes I in all bands."""
    bands = sorted(frequencies)
    fluxes, weights = np.full((2, len(bands), len(entries)), np.nan)
    rows = np.flatnonzero((keys["stokes"] == STOKES_I) & np.isin(keys["runcat"], entries))
    cell = np.searchsorted(bands, keys["band"][rows]), np.searchsorted(entries, keys["runcat"][rows])
    fluxes[cell], weights[cell] = statistics["wmean_f_int"][rows], statistics["wsum_f_int"][rows]
    index, error = spectral_index(np.array([frequencies[band] for band in bands]), fluxes, weights**-0.5)
    return {"spectral_index": index, "spectral_index_err": error}


def _note(wrong: Wrong, column: str, entries: Ids) -> None:
    if len(entries):
        wrong[column] += entries.tolist()
