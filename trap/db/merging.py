"""The preparation of several datasets to be read as one: their bands, and their flux scales against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import func, select

from trap.association.merging import MergeLimits
from trap.association.pairs import COINCIDENT
from trap.calibration.calibrators import find_isolated
from trap.calibration.seasons import SeasonMeans, season_gains
from trap.db.bulk import is_among, read_columns
from trap.db.datasets import find_dataset, stored_config
from trap.db.merged import MergedDatasets
from trap.db.merged_entries import POSITION_COLUMNS, merge_entries
from trap.db.models import FrequencyBand, Image, RunningCatalog, RunningCatalogFlux
from trap.errors import TrapError
from trap.images.bands import Band, find_band

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from trap.config import CalibrationConfig

__all__ = ["merge_datasets"]


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
            *POSITION_COLUMNS,
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
    merged = merge_entries(found, datasets, limits)
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
