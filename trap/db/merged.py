"""Several datasets of one database as one: sources merged by position, and their light curves over all seasons.

Bands are merged by their frequencies. Flux densities are divided by the gain of their dataset against the earlier
datasets, so that a light curve has one scale, the scale of the first dataset. Nothing is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import select

from trap.association.merging import MergeLimits
from trap.calibration.seasons import SeasonKey
from trap.codes import STOKES, stokes_letter
from trap.db.bulk import is_among, read_columns
from trap.db.merged_entries import MergedEntries, read_entries
from trap.db.models import RunningCatalog, RunningCatalogFlux
from trap.db.models.base import stored_names
from trap.db.result_tables import read_rows
from trap.db.shared_errors import load_shared_errors
from trap.flux_statistics import FLUX_COLUMNS, FLUX_STATISTICS
from trap.selection import Selection
from trap.variability.combining import combine_freedom, combine_statistics, metrics_so_far, rescale_statistics
from trap.variability.metrics import light_curve_metrics
from trap.variability.shared_errors import degrees_of_freedom
from trap.variability.summary import total_errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from trap.calibration.records import FluxScale
    from trap.typing import Array, Columns, Ids

__all__ = ["MergedDatasets"]

SCALED = ("f_int", "f_int_err", "f_peak", "f_peak_err", "rms")
"""Columns of a light curve that are divided by the gain of the dataset."""
MAX_LISTED = 10_000
"""Number of entries below which their statistics are read one by one, and not those of the whole datasets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedDatasets:
    """Datasets that are read as one.

    Parameters
    ----------
    datasets
        Numbers of the datasets, in the order of merging.
    limits
        Limits of pairs of entries.
    bands
        Number of the merged band of each frequency band, by its row number.
    frequencies
        Hz — centre of each merged band.
    gains
        Gain of each dataset against the datasets before it.
    """

    datasets: tuple[int, ...]
    limits: MergeLimits
    bands: Mapping[int, int]
    frequencies: tuple[float, ...]
    gains: Mapping[SeasonKey, FluxScale]

    def gain(self, dataset: int, bands: Ids, stokes: NDArray[np.integer]) -> tuple[Array, Array]:
        """Return the gains of light curves of a dataset that are applied, and their errors.

        Parameters
        ----------
        dataset
            Number of the dataset.
        bands, stokes
            (n,) — row number of the frequency band, and Stokes parameter, of each light curve.

        Returns
        -------
        gain, gain_err
            (n,) — 1 and the error of the measured gain if it is not significant; 1 and 0 if none was measured.
        """
        gain, error = np.ones(len(bands)), np.zeros(len(bands))
        season = self.datasets.index(dataset)
        for band, parameter in set(zip(bands.tolist(), stokes.tolist(), strict=True)):
            scale = self.gains.get(SeasonKey(season, self.bands[band], parameter))
            if scale is None or not np.isfinite(scale.gain):
                continue
            rows = (bands == band) & (stokes == parameter)
            gain[rows] = scale.gain if scale.is_applied else 1.0
            error[rows] = scale.gain_err / scale.gain
        return gain, error

    def entries(self, connection: Connection, near: tuple[float, float, float] | None = None) -> MergedEntries:
        """Read the entries of all datasets, merged by position.

        Parameters
        ----------
        connection
            Connection in a transaction of the caller.
        near
            deg — right ascension, declination and radius of a cone; None for the whole sky.

        Returns
        -------
        Entries of the sources within the cone, in order of the sources; the nearest source first if there is a cone.
        """
        return read_entries(connection, self.datasets, self.limits, near)

    def statistics(self, connection: Connection, entries: MergedEntries) -> tuple[Columns, NDArray[Any]]:
        """Compute the statistics and the metrics of the light curves of merged sources.

        Parameters
        ----------
        connection
            Connection in a transaction of the caller.
        entries
            Entries whose light curves are combined.

        Returns
        -------
        columns
            ``source``, ``wm_ra`` and ``wm_decl`` [deg], ``n_datasets``, ``merged_band``, ``freq_central`` [Hz],
            ``stokes`` and the metrics of :func:`~trap.variability.metrics.light_curve_metrics`, (n_curves,) each.
        statistics
            (n_curves,) of :data:`~trap.flux_statistics.FLUX_STATISTICS`, on the scale of the first dataset.
        """
        columns, statistics = _read_statistics(connection, self.datasets, entries)
        gain, gain_err = np.ones(len(statistics)), np.zeros(len(statistics))
        freedom = np.empty((2, len(statistics)))
        of_row = entries.dataset[columns["row"]]
        for dataset in self.datasets:
            rows = np.flatnonzero(of_row == dataset)
            bands, stokes = columns["band"][rows], columns["stokes"][rows]
            gain[rows], gain_err[rows] = self.gain(dataset, bands, stokes)
            shared = load_shared_errors(connection, dataset)
            freedom[:, rows] = degrees_of_freedom(statistics["n"][rows], bands, stokes, shared)
        bands = np.array([self.bands[band] for band in columns["band"].tolist()], np.int64)
        keys = np.stack([entries.source[columns["row"]], bands, columns["stokes"]])
        curves, first, curve = np.unique(keys, axis=1, return_index=True, return_inverse=True)
        combined = combine_statistics(rescale_statistics(statistics, gain), curve, gain_err)
        described = {
            "source": curves[0],
            "wm_ra": entries.ra[columns["row"][first]],
            "wm_decl": entries.dec[columns["row"][first]],
            "n_datasets": np.bincount(curve, minlength=len(first)),
            "merged_band": curves[1],
            "freq_central": np.array(self.frequencies)[curves[1]],
            "stokes": curves[2],
        }
        metrics = light_curve_metrics(combined, combine_freedom(freedom[0], freedom[1], curve))
        return {**described, **metrics}, combined

    def light_curves(self, connection: Connection, entries: MergedEntries) -> Columns:
        """Read the light curves of sources over all datasets.

        Parameters
        ----------
        connection
            Connection in a transaction of the caller.
        entries
            All entries of the sources.

        Returns
        -------
        ``source``, the columns of the result table ``lightcurves``, ``merged_band``, and ``dataset_gain``, the factor
        that the flux densities of the dataset were divided by; in order of source, time and frequency. ``v_int``,
        ``eta_int`` and ``f_datapoints`` are of the whole light curve up to the point.
        """
        points = read_rows(connection, "lightcurves", self.datasets, Selection(entries=tuple(entries.entry.tolist())))
        stokes = np.array([STOKES[letter] for letter in points["stokes"].tolist()], np.int64)
        gain = np.ones(len(stokes))
        for dataset in self.datasets:
            rows = np.flatnonzero(points["dataset"] == dataset)
            gain[rows], _ = self.gain(dataset, points["band"][rows], stokes[rows])
        scaled = {name: points[name] / gain for name in SCALED}
        known = np.argsort(entries.entry)
        source = entries.source[known][np.searchsorted(entries.entry[known], points["runcat"])]
        points = {"source": source, **points, **scaled, "dataset_gain": gain}
        order = np.lexsort((points["xtrsrc"], stokes, points["freq_eff"], points["taustart_ts"], source))
        points = {name: values[order] for name, values in points.items()}
        band = np.array([self.bands[one] for one in points["band"].tolist()], np.int64)
        so_far = _metrics_so_far(points, np.stack([points["source"], band, stokes[order]]))
        return {**points, **so_far, "merged_band": band}

    def gain_table(self) -> Columns:
        """Return the gains of the datasets, one row for each dataset, band and Stokes parameter.

        Returns
        -------
        ``dataset``, ``freq_central`` [Hz], ``stokes``, ``gain``, ``gain_err``, ``n_matches``, ``applied``, and
        ``note``, the reason if a gain is not applied; (n,) each.
        """
        rows = sorted(self.gains.items())
        return {
            "dataset": np.array([self.datasets[key.season] for key, _ in rows], np.int64),
            "freq_central": np.array([self.frequencies[key.band] for key, _ in rows], float),
            "stokes": np.array([stokes_letter(key.stokes) for key, _ in rows], object),
            "gain": np.array([scale.gain for _, scale in rows], float),
            "gain_err": np.array([scale.gain_err for _, scale in rows], float),
            "n_matches": np.array([scale.n_matches for _, scale in rows], np.int64),
            "applied": np.array([scale.is_applied for _, scale in rows], bool),
            "note": np.array([scale.note for _, scale in rows], object),
        }


def _metrics_so_far(points: Columns, keys: NDArray[np.int64]) -> Columns:
    """Compute V and η up to each point, of its source, band and Stokes parameter, (3, n)."""
    errors = total_errors(points["f_int_err"], np.nan_to_num(points["gain_err"]), points["f_int"])
    curve = np.unique(keys, axis=1, return_inverse=True)[1]
    n, v, eta = metrics_so_far(curve, points["f_int"], errors)
    return {"v_int": v, "eta_int": eta, "f_datapoints": n}


def _read_statistics(
    connection: Connection, datasets: Sequence[int], entries: MergedEntries
) -> tuple[Columns, NDArray[Any]]:
    """Read the flux statistics of entries: ``row`` among the merged entries, ``band`` and ``stokes``."""
    flux, stored = RunningCatalogFlux, stored_names(RunningCatalogFlux, FLUX_COLUMNS)
    rows = (
        select(flux.runcat, flux.band, flux.stokes, *(getattr(flux, name).label(key) for key, name in stored.items()))
        .join(RunningCatalog, RunningCatalog.id == flux.runcat)
        .where(is_among(connection, RunningCatalog.dataset, datasets))
        .order_by(flux.runcat, flux.band, flux.stokes)
    )
    if len(entries) < MAX_LISTED:
        rows = rows.where(is_among(connection, flux.runcat, entries.entry))
    columns = read_columns(connection, rows)
    order = np.argsort(entries.entry)
    place = np.minimum(np.searchsorted(entries.entry[order], columns["runcat"]), max(len(order) - 1, 0))
    is_listed = entries.entry[order][place] == columns["runcat"] if len(order) else np.zeros(len(place), bool)
    columns = {name: values[is_listed] for name, values in columns.items()}
    statistics = np.empty(np.count_nonzero(is_listed), FLUX_STATISTICS)
    for name in FLUX_COLUMNS:
        statistics[name] = columns.pop(name)
    return {**columns, "row": order[place[is_listed]]}, statistics
