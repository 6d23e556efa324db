"""The light curve that describes an entry: its brightest one in the latest timestep, chosen in the same way everywhere.

As in TraP, one band and Stokes parameter describes each entry in table ``varmetric``. While a timestep is processed the
choice needs its new points only; at the end of a run, and in a check of the database, it is made from all points.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.typing import Array, Ids, Indices

__all__ = ["describing_points", "same_numbers", "total_errors"]

STOKES_I = 1
"""Number of Stokes I in FITS."""


def describing_points(
    entries: Ids, timesteps: NDArray[Any], bands: NDArray[np.int64], stokes: NDArray[np.int64], fluxes: Array
) -> Indices:
    """Find the point of each entry whose band and Stokes parameter describe it.

    The point is the brightest one of the latest timestep, whatever the starts of the images in that timestep. Stokes
    parameters but I have the brightness of their absolute flux densities. Of equal points, the one with the lowest
    number of the band counts, then the one with the lowest Stokes parameter.

    Parameters
    ----------
    entries, timesteps
        (n,) — number of the entry, and start or number of the timestep, of each point.
    bands, stokes
        (n,) — number of the band, and Stokes parameter as numbered in FITS.
    fluxes
        (n,) Jy — integrated flux densities.

    Returns
    -------
    (n_entries,) — one point per entry, in order of the entries.
    """
    brightness = np.where(stokes == STOKES_I, fluxes, np.abs(fluxes))
    order = np.lexsort((-stokes, -bands, brightness, timesteps, entries))
    last: Indices = order[np.diff(entries[order], append=-1) != 0]
    return last


def same_numbers(ours: Array, theirs: Array, atol: Array | float = 1e-12) -> NDArray[np.bool_]:
    """Compare values that were computed in different ways from the same points.

    Parameters
    ----------
    ours, theirs
        (n,) — values; NaN equals NaN.
    atol
        Difference that is allowed in any case, in the unit of the values.

    Returns
    -------
    (n,) — True for a relative difference up to 1e-6, much more than rounding of 10⁵ points.
    """
    same: NDArray[np.bool_] = np.isclose(ours, theirs, rtol=1e-6, atol=atol, equal_nan=True)
    return same


def total_errors(errors: Array, gain_err: Array, values: Array) -> Array:
    """Add the error of the gain of an image to the errors of its flux densities.

    The gain is common to the sources of an image. For a light curve, which has one point of each image, its error is an
    independent error of each point.

    Parameters
    ----------
    errors
        (n,) Jy — errors of the flux densities by noise alone.
    gain_err
        (n,) — relative errors of the gains; 0 if flux densities were not corrected, which changes nothing.
    values
        (n,) Jy — flux densities.

    Returns
    -------
    (n,) Jy
    """
    total: Array = np.hypot(errors, gain_err * np.abs(values))
    return total
