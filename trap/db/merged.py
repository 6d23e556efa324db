"""Several datasets of one database as one: sources merged by position, and their light curves over all seasons.

Bands are merged by their frequencies. Flux densities are divided by the gain of their dataset against the earlier
datasets, so that a light curve has one scale, the scale of the first dataset. Nothing is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import func, select

from trap.angles import separation
from trap.association.merging import MergeLimits, merge_catalogues
from trap.association.pairs import COINCIDENT, Positions
from trap.calibration.calibrators import find_isolated
from trap.calibration.seasons import SeasonKey, SeasonMeans, season_gains
from trap.db import lightcurves
from trap.db.bulk import is_among, read_columns
from trap.db.datasets import find_dataset, stored_config
from trap.db.models import FrequencyBand, Image, RunningCatalog, RunningCatalogFlux
from trap.db.models.base import stored_names
from trap.db.shared_errors import load_shared_errors
from trap.errors import TrapError
from trap.flux_statistics import FLUX_COLUMNS, FLUX_STATISTICS
from trap.images.bands import Band, find_band
from trap.tables import ColumnTable, column
from trap.variability.combining import combine_freedom, combine_statistics, rescale_statistics
from trap.variability.metrics import add_points, light_curve_metrics, modulation_v, weighted_eta
from trap.variability.shared_errors import degrees_of_freedom
from trap.variability.summary import total_errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from trap.calibration.records import FluxScale
    from trap.config import CalibrationConfig
    from trap.typing import Array, Columns, Ids

__all__ = ["MergedDatasets", "MergedEntries", "merge_datasets"]

MAX_LISTED = 10_000
"""Number of entries below which their statistics are read one by one, and not those of the whole datasets."""
MARGIN = 4
"""Distance around a cone, in search radii, from which entries are merged too: the chains of pairs are shorter."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MergedEntries(ColumnTable):
    """Entries of several datasets, and the source that each of them is."""

    source: NDArray[np.int64] = column("i8", "", "Number of the source among the merged sources.")
    dataset: NDArray[np.int64] = column("i8", "", "Dataset of the entry.")
    entry: NDArray[np.int64] = column("i8", "", "Row of the running catalogue.")
    ra: NDArray[np.float64] = column("f8", "deg", "Right ascension of the source, ICRS, mean weighted by 1/σ².")
    dec: NDArray[np.float64] = column("f8", "deg", "Declination of the source.")


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
        found = _read_entries(connection, self.datasets, near, margin=MARGIN * self.limits.search_radius)
        merged = _merge(found, self.datasets, self.limits)
        if near is None:
            return merged.take(np.argsort(merged.source, kind="stable"))
        distance = separation(merged.ra, merged.dec, near[0], near[1])
        order = np.lexsort((merged.source, distance))
        return merged.take(order[distance[order] <= near[2]])

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
            ``source``, ``wm_ra`` and ``wm_decl`` [deg], ``n_datasets``, ``freq_central`` [Hz], ``stokes`` and the
            metrics of :func:`~trap.variability.metrics.light_curve_metrics`, (n_curves,) each.
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
            "freq_central": np.array(self.frequencies)[curves[1]],
            "stokes": curves[2],
        }
        metrics = light_curve_metrics(combined, combine_freedom(freedom[0], freedom[1], curve))
        return {**described, **metrics}, combined

    def light_curve(self, connection: Connection, entries: MergedEntries) -> Columns:
        """Read the light curve of one source over all datasets.

        Parameters
        ----------
        connection
            Connection in a transaction of the caller.
        entries
            Entries of the source.

        Returns
        -------
        Columns of :func:`trap.db.lightcurves.light_curve` in order of time and frequency, with ``dataset`` and
        ``runcat``, and with ``dataset_gain``, the factor that the flux densities of the dataset were divided by.
        ``v_int``, ``eta_int`` and ``f_datapoints`` are of the whole light curve up to the point.
        """
        parts = []
        for dataset, entry in zip(entries.dataset.tolist(), entries.entry.tolist(), strict=True):
            points = lightcurves.light_curve(connection, entry)
            gain, _ = self.gain(dataset, points["band"], points["stokes"])
            for name in ("f_int", "f_int_err", "f_peak", "f_peak_err", "rms"):
                points[name] = points[name] / gain
            n = len(gain)
            parts.append(points | {"dataset": np.full(n, dataset), "runcat": np.full(n, entry), "dataset_gain": gain})
        points = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        band = np.array([self.bands[one] for one in points["band"].tolist()], np.int64)
        order = np.lexsort((points["xtrsrc"], points["stokes"], points["freq_eff"], points["taustart_ts"]))
        points = {name: values[order] for name, values in points.items()}
        return {**points, **_metrics_so_far(points, band[order])}


def _metrics_so_far(points: Columns, band: Ids) -> Columns:
    """Compute V and η up to each point, of its band and Stokes parameter."""
    gain_err = np.nan_to_num(points["gain_err"])
    errors = {name: total_errors(points[f"{name}_err"], gain_err, points[name]) for name in ("f_int", "f_peak")}
    is_flux = np.isfinite(points["f_int"]) & (errors["f_int"] > 0) & (errors["f_peak"] > 0)
    _, curve = np.unique(np.stack([band, points["stokes"]]), axis=1, return_inverse=True)
    statistics = np.zeros(int(curve.max(initial=-1)) + 1, FLUX_STATISTICS)
    n, v, eta = np.zeros(len(band), np.int64), np.full(len(band), np.nan), np.full(len(band), np.nan)
    for i in range(len(band)):
        one = curve[i : i + 1]
        if is_flux[i]:
            fluxes = {name: (points[name][i : i + 1], errors[name][i : i + 1]) for name in ("f_peak", "f_int")}
            add_points(statistics, one, fluxes)
        so_far = statistics[one]
        n[i] = so_far["n"][0]
        if n[i]:
            v[i], eta[i] = modulation_v(so_far)[0], weighted_eta(so_far)[0]
    return {"v_int": v, "eta_int": eta, "f_datapoints": n}


def merge_datasets(connection: Connection, datasets: Sequence[int]) -> MergedDatasets:
    """Prepare datasets to be read as one: merge their bands, and measure their flux scales against each other.

    Parameters
    ----------
    connection
        Connection in a transaction of the caller.
    datasets
        Numbers of the datasets, in the order of merging; the first one has the settings and the flux scale.

    Raises
    ------
    DatasetNotFoundError
        If a dataset does not exist.
    TrapError
        If a dataset is named twice, or none is.
    """
    if len(set(datasets)) != len(datasets) or not datasets:
        msg = f"different datasets are merged, got {', '.join(map(str, datasets)) or 'none'}"
        raise TrapError(msg)
    for dataset in datasets:
        find_dataset(connection, dataset)
    settings = stored_config(connection, datasets[0])
    major, minor = _mean_beam(connection, datasets)
    radius = max(settings.association.beamwidths_limit * major, settings.association.search_radius_floor_arcsec / 3600)
    # Without a beam, pairs are limited by their errors alone, which takes a positive distance too.
    limits = MergeLimits(settings.association.deruiter_radius, radius, COINCIDENT * 2 * minor or np.finfo(float).tiny)
    bands, frequencies = _merge_bands(connection, datasets)
    gains = {}
    if settings.calibration.flux_scale != "off":
        means = _bright_means(connection, datasets, bands, settings.calibration, limits=limits, beam=2 * major)
        gains = season_gains(means, settings.calibration)
    return MergedDatasets(datasets=tuple(datasets), limits=limits, bands=bands, frequencies=frequencies, gains=gains)


def _mean_beam(connection: Connection, datasets: Sequence[int]) -> tuple[float, float]:
    """Return the semi-axes of the mean beam in deg, of the dataset with the widest beam; 0 without a beam."""
    rows = (
        select(func.avg(Image.rb_smaj).label("major"), func.avg(Image.rb_smin).label("minor"))
        .where(is_among(connection, Image.dataset, datasets))
        .group_by(Image.dataset)
    )
    axes = [(row.major or 0.0, row.minor or 0.0) for row in connection.execute(rows)]
    return max(axes, default=(0.0, 0.0))


def _merge_bands(connection: Connection, datasets: Sequence[int]) -> tuple[dict[int, int], tuple[float, ...]]:
    """Return the number of the merged band of each band, and the centre of each merged band in Hz."""
    band = FrequencyBand
    rows = select(band.id, band.dataset, band.freq_central, band.freq_low, band.freq_high).where(
        is_among(connection, band.dataset, datasets)
    )
    found = sorted(connection.execute(rows), key=lambda row: (datasets.index(row.dataset), row.id))
    merged: list[Band] = []
    numbers: dict[int, int] = {}
    for number, _, centre, low, high in found:
        candidate = Band(freq_central=centre, freq_low=low, freq_high=high)
        known = find_band(merged, candidate)
        if known is None:
            known = len(merged)
            merged.append(candidate)
        numbers[number] = known
    return numbers, tuple(one.freq_central for one in merged)


def _read_entries(
    connection: Connection, datasets: Sequence[int], near: tuple[float, float, float] | None, *, margin: float
) -> Columns:
    """Read the positions of entries, of a strip of declination around a cone."""
    entry = RunningCatalog
    rows = select(
        *(entry.id, entry.dataset, entry.wm_ra, entry.wm_decl, entry.wm_uncertainty_ew, entry.wm_uncertainty_ns)
    ).where(is_among(connection, entry.dataset, datasets))
    if near is None:
        return read_columns(connection, rows.order_by(entry.id))
    ra, dec, radius = float(near[0]), float(near[1]), float(near[2]) + margin  # the driver knows no numpy numbers
    columns = read_columns(connection, rows.where(entry.wm_decl.between(dec - radius, dec + radius)).order_by(entry.id))
    is_near = separation(columns["wm_ra"], columns["wm_decl"], ra, dec) <= radius
    return {name: values[is_near] for name, values in columns.items()}


def _merge(found: Columns, datasets: Sequence[int], limits: MergeLimits) -> MergedEntries:
    """Merge entries by position."""
    rows = [np.flatnonzero(found["dataset"] == dataset) for dataset in datasets]
    positions = Positions.of(
        ra=found["wm_ra"],
        dec=found["wm_decl"],
        uncertainty_ew=found["wm_uncertainty_ew"],
        uncertainty_ns=found["wm_uncertainty_ns"],
    )
    sources, means = merge_catalogues([positions.take(one) for one in rows], limits)
    order, source = np.concatenate(rows), np.concatenate(sources)
    return MergedEntries.of(
        source=source,
        dataset=found["dataset"][order],
        entry=found["id"][order],
        ra=means.ra[source],
        dec=means.dec[source],
    )


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


def _bright_means(
    connection: Connection,
    datasets: Sequence[int],
    bands: Mapping[int, int],
    settings: CalibrationConfig,
    *,
    limits: MergeLimits,
    beam: float,
) -> SeasonMeans:
    """Read the mean flux densities of bright, isolated sources of all datasets, merged by position."""
    flux, entry = RunningCatalogFlux, RunningCatalog
    rows = (
        select(
            *(entry.id, entry.dataset, entry.wm_ra, entry.wm_decl, entry.wm_uncertainty_ew, entry.wm_uncertainty_ns),
            *(flux.band, flux.stokes, flux.wmean_f_int, flux.wsum_f_int, flux.wmean_f_peak),
        )
        .join(entry, entry.id == flux.runcat)
        .where(is_among(connection, entry.dataset, datasets), entry.is_blend.is_(False), flux.wmean_f_int > 0)
        .where(flux.wmean_f_int * flux.wmean_f_int * flux.wsum_f_int >= settings.min_signal_to_noise**2)
        .order_by(entry.id, flux.band, flux.stokes)
    )
    columns = read_columns(connection, rows)
    _, first, number = np.unique(columns["id"], return_index=True, return_inverse=True)
    found = {name: values[first] for name, values in columns.items()}
    is_isolated = np.zeros(len(first), bool)
    for dataset in datasets:
        chosen = np.flatnonzero(found["dataset"] == dataset)
        is_isolated[chosen] = find_isolated(
            found["wm_ra"][chosen], found["wm_decl"][chosen], settings.isolation_beams * beam
        )
    merged = _merge(found, datasets, limits)
    source = np.empty(len(first), np.int64)
    source[np.searchsorted(found["id"], merged.entry)] = merged.source
    means = SeasonMeans.of(
        source=source[number],
        season=np.array([datasets.index(dataset) for dataset in columns["dataset"].tolist()], np.int64),
        band=np.array([bands[band] for band in columns["band"].tolist()], np.int64),
        stokes=columns["stokes"],
        f_int=columns["wmean_f_int"],
        f_int_err=columns["wsum_f_int"] ** -0.5,
        f_peak=columns["wmean_f_peak"],
    )
    return means.take(is_isolated[number])
