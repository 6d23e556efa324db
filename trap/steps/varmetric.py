"""Variability metrics: a summary of every light curve, updated for the light curves of each timestep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.catalogues import VarMetrics
from trap.db.metrics import refresh_metrics
from trap.flux_statistics import FLUX_STATISTICS
from trap.variability.metrics import light_curve_metrics, spectral_index
from trap.variability.shared_errors import degrees_of_freedom
from trap.variability.summary import STOKES_I, describing_points

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trap.dataset.records import BackwardFits, ImageRecord
    from trap.dataset.state import DatasetState
    from trap.db.engine import Connection
    from trap.db.store import Store

__all__ = ["execute_store_varmetric", "refresh_varmetric", "summarise_touched"]

MIN_BANDS = 2
"""Number of bands that a spectral index needs."""


def summarise_touched(state: DatasetState, images: Sequence[ImageRecord | BackwardFits]) -> VarMetrics:
    """Summarise the light curves with new points in this timestep.

    As in TraP, the brightest band of an entry at its latest time describes it. The choice is unique, unlike TraP's, see
    :func:`trap.variability.summary.describing_points`. Every Stokes parameter of a band has its own light curve.

    Parameters
    ----------
    state, images
        State of the dataset after association of the whole timestep, and its images or their fits.

    Returns
    -------
    One row per entry that is in the catalogue.
    """
    entries = np.concatenate([np.empty(0, np.int64), *(image.associations.entry for image in images)])
    fluxes = [np.empty(0), *(im.measurements.f_int[im.associations.measurement] for im in images)]
    numbers = np.repeat(np.arange(len(images)), [len(image.associations) for image in images])
    bands, parameters = np.array([(image.key.band, image.key.stokes) for image in images], np.int64).reshape(-1, 2).T
    same_time = np.zeros(len(entries))
    points = describing_points(entries, same_time, bands[numbers], parameters[numbers], np.concatenate(fluxes))
    points = points[state.catalogue.entries["active"][entries[points]]]
    entries, numbers = entries[points], numbers[points]
    curves = np.zeros(len(entries), FLUX_STATISTICS)
    for number, image in enumerate(images):
        in_image = numbers == number
        curves[in_image] = state.catalogue.fluxes(image.key)[entries[in_image]]
    freedom = degrees_of_freedom(curves["n"], bands[numbers], parameters[numbers], state.catalogue.shared_errors)
    index, index_err = _spectral_indices(state, entries)
    return VarMetrics(
        entry=entries,
        band=bands[numbers],
        stokes=parameters[numbers],
        spectral_index=index,
        spectral_index_err=index_err,
        **light_curve_metrics(curves, freedom),
    )


def _spectral_indices(
    state: DatasetState, entries: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit power laws to the weighted mean flux densities of Stokes I in all bands."""
    keys = [key for key in state.catalogue.light_curves if key.stokes == STOKES_I]
    if len(keys) < MIN_BANDS:
        return np.full(len(entries), np.nan), np.full(len(entries), np.nan)
    curves = [state.catalogue.fluxes(key)[entries] for key in keys]
    means = np.array([np.where(curve["n"] > 0, curve["wmean_f_int"], np.nan) for curve in curves])
    weights = np.array([np.where(curve["n"] > 0, curve["wsum_f_int"], np.nan) for curve in curves])
    frequencies = np.array([state.bands[key.band].freq_central for key in keys])
    shape = (len(keys), len(entries))
    return spectral_index(frequencies, means.reshape(shape), weights.reshape(shape) ** -0.5)


def refresh_varmetric(store: Store, state: DatasetState | None = None) -> None:
    """Recompute the metrics of all light curves of a dataset, with the medians and the errors that epochs share.

    Parameters
    ----------
    store
        The dataset in the database. Nothing is done if it has not changed since the last time.
    state
        State of the dataset in memory, which then has the same shared errors.
    """
    shared = store.refresh_metrics()
    if state is not None:
        state.use_shared_errors(shared)


# TraP's interface, kept for scripts written for TraP. The pipeline does not call these functions.


def execute_store_varmetric(connection: Connection, dataset_id: int) -> None:
    """Recompute the metrics of all light curves of a dataset, with the medians.

    TraP did this after every timestep, deleting and inserting the whole table, and failed if a flux density occurred
    twice. Here metrics are updated point by point, and recomputed once, at the end of a run, in bounded memory: medians
    cannot be updated point by point.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    """
    refresh_metrics(connection, dataset_id)
