"""Variability metrics: a summary of every light curve, updated for the light curves of each timestep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.catalogues import FLUX_STATISTICS, VarMetrics
from trap.db.metrics import refresh_metrics
from trap.variability.metrics import (
    light_curve_metrics,
    medians,
    modulation_v,
    spectral_index,
    weighted_eta,
    whole_light_curves,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from numpy.typing import NDArray

    from trap.dataset.records import BackwardFits, ImageRecord
    from trap.dataset.state import DatasetState
    from trap.db.engine import Connection
    from trap.db.store import Store

__all__ = ["execute_store_varmetric", "refresh_varmetric", "summarise_touched"]

STOKES_I = 1
"""Number of Stokes I in FITS."""
MIN_BANDS = 2
"""Number of bands that a spectral index needs."""


def summarise_touched(state: DatasetState, images: Sequence[ImageRecord | BackwardFits]) -> VarMetrics:
    """Summarise the light curves with new points in this timestep.

    As in TraP, the brightest band of an entry at its latest time describes it. The choice is unique, unlike TraP's: of
    equal flux densities the first band is taken. Every Stokes parameter of a band has its own light curve; all but I
    have the brightness of their absolute flux densities.

    Parameters
    ----------
    state, images
        State of the dataset after association of the whole timestep, and its images or their fits.

    Returns
    -------
    One row per entry that is in the catalogue.
    """
    entries = np.concatenate([np.empty(0, np.int64), *(image.associations.entry for image in images)])
    fluxes = [im.measurements.f_int[im.associations.measurement] for im in images]
    parameters = np.array([image.key.stokes for image in images], np.int64)
    brightness = np.concatenate([np.empty(0), *map(_brightness, fluxes, parameters)])
    numbers = np.repeat(np.arange(len(images)), [len(image.associations) for image in images])
    # Sorted by entry, then brightest first, then by band: the first row of each entry is its summary.
    order = np.lexsort((numbers, -brightness, entries))
    entries, numbers = entries[order], numbers[order]
    first = np.flatnonzero(np.diff(entries, prepend=-1))
    entries, numbers = entries[first], numbers[first]
    active = state.catalogue.entries["active"][entries]
    entries, numbers = entries[active], numbers[active]
    curves = np.zeros(len(entries), FLUX_STATISTICS)
    for number, image in enumerate(images):
        in_image = numbers == number
        curves[in_image] = state.catalogue.fluxes(image.key)[entries[in_image]]
    index, index_err = _spectral_indices(state, entries)
    return VarMetrics(
        entry=entries,
        band=np.array([image.key.band for image in images], np.int64)[numbers],
        stokes=parameters[numbers],
        spectral_index=index,
        spectral_index_err=index_err,
        **light_curve_metrics(curves),
    )


def _brightness(fluxes: NDArray[np.float64], stokes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return flux densities of Stokes I, and absolute ones of any other Stokes parameter."""
    return np.where(stokes == STOKES_I, fluxes, np.abs(fluxes))


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


def refresh_varmetric(store: Store) -> None:
    """Recompute the metrics of all light curves of a dataset from their stored points, with the medians."""
    store.refresh_metrics(_summarise)


def _summarise(points: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Summarise whole light curves; the brightest band of each entry at its latest time describes it.

    Parameters
    ----------
    points
        Points of whole light curves, as :func:`trap.db.metrics.light_curve_points` yields them.

    Returns
    -------
    Columns of table ``varmetric``, one row per entry.
    """
    runcat, fluxes = points["runcat"], points["f_int"]
    keys = np.stack([runcat, points["band"], points["stokes"]])
    curves, curve = np.unique(keys, axis=1, return_inverse=True)
    curve = curve.ravel()
    statistics = whole_light_curves(curve, fluxes, points["f_int_err"])
    # Sorted by entry, then time, then flux density; of equal points the first band is last. The last point of each
    # entry is in its brightest band at its latest time.
    order = np.lexsort((-curve, _brightness(fluxes, points["stokes"]), points["taustart_ts"], runcat))
    last = order[np.append(np.diff(runcat[order]) > 0, True)]
    brightest = curve[last]
    return {
        "runcat": runcat[last],
        "band": curves[1][brightest],
        "stokes": curves[2][brightest],
        "v_int": modulation_v(statistics)[brightest],
        "eta_int": weighted_eta(statistics)[brightest],
        "lightcurve_max": statistics["max_f_int"][brightest],
        "lightcurve_avg": statistics["mean_f_int"][brightest],
        "lightcurve_median": medians(curve, fluxes)[brightest],
    }


# TraP's interface, kept for scripts written for TraP. The pipeline does not call these functions.


def execute_store_varmetric(connection: Connection, dataset_id: int) -> None:
    """Recompute the metrics of all light curves of a dataset from their stored points, with the medians.

    TraP did this after every timestep, deleting and inserting the whole table, and failed if a flux density occurred
    twice. Here metrics are updated point by point, and recomputed once, at the end of a run, in bounded memory: medians
    cannot be updated point by point.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    """
    refresh_metrics(connection, dataset_id, _summarise)
