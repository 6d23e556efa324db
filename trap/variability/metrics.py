"""Variability of light curves: V and η, streamed point by point and exact to a two-pass sum.

For n flux densities I with errors σ and weights w = 1/σ² (Swinbank et al. 2015, sect. 4.6):

    V = s / Ī,                  s² = Σ (I − Ī)² / (n − 1)
    η = Σ w (I − ξ)² / (n − 1), ξ = Σ w I / Σ w

σ includes the error of the image's gain, see :func:`total_errors`.

TraP stores ⟨I⟩ and ⟨I²⟩ and subtracts, which cancels catastrophically for bright steady sources.
Here the sums of squared deviations themselves are updated (Welford 1962; West 1979 for weights), so
that a constant source has a V and η of exactly zero, and the cost of a point does not depend on the
number of points before it.

Further metrics are the modulation index corrected for errors, the probability of η for a constant
source, and the largest step of the light curve.

A new metric takes a function here, called in :func:`light_curve_metrics`; a column of
:class:`trap.catalogues.VarMetrics`; and a migration that adds the column to table ``varmetric``. A
metric that needs a sum over the points also takes an entry in :data:`trap.catalogues.FLUX_COLUMNS`, which
:func:`add_points` updates; the same migration adds its column to ``runningcatalog_flux``, with
default 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import chdtrc

from trap.flux_statistics import FLUX_STATISTICS
from trap.variability.shared_errors import INDEPENDENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from trap.typing import Array, Indices


__all__ = [
    "add_points",
    "eta_p_value",
    "light_curve_metrics",
    "medians",
    "modulation_index",
    "modulation_v",
    "spectral_index",
    "weighted_eta",
    "whole_light_curves",
]


def add_points(statistics: NDArray[Any], rows: Indices, fluxes: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> None:
    """Add one flux point to each of several light curves, in place.

    Parameters
    ----------
    statistics
        (n_curves,) of :data:`FLUX_STATISTICS`.
    rows
        (m,) — rows of the light curves that get a point; each at most once.
    fluxes
        ``{"f_peak": (values, errors), "f_int": (values, errors)}``, (m,) Jy; errors positive.
    """
    statistics["n"][rows] += 1
    n = statistics["n"][rows]
    f_int, f_int_err = (np.asarray(values, float) for values in fluxes["f_int"])
    _add_step(statistics, rows, n, f_int, f_int_err)
    for quantity, (values, errors) in fluxes.items():
        _add_quantity(statistics, rows, n, quantity, np.asarray(values, float), np.asarray(errors, float))
    statistics["max_f_int"][rows] = np.where(n == 1, f_int, np.maximum(statistics["max_f_int"][rows], f_int))
    statistics["err2_f_int"][rows] += f_int_err**2


def _add_step(statistics: NDArray[Any], rows: Indices, n: NDArray[np.int32], values: Array, errors: Array) -> None:
    """Compare each new point with the weighted mean before it, and store the step if it is the largest so far.

    Vs = ΔI / σ(ΔI) and m = ΔI / average of the two, as Mooley et al. (2016, eq. 1 and 3) define them for
    two epochs. They compare all pairs of epochs, at a cost that grows with the square of their number.
    """
    has_earlier = n > 1
    before = statistics["wmean_f_int"][rows]
    # The weights of a first point are still zero; its step is set to 0 below.
    variance_before = 1 / np.where(has_earlier, statistics["wsum_f_int"][rows], 1.0)
    vs = np.where(has_earlier, (values - before) / np.sqrt(errors**2 + variance_before), 0.0)
    is_largest = np.abs(vs) > np.abs(statistics["vs_f_int"][rows])
    average = (values + before) / 2
    # Flux densities of forced fits may be negative and cancel. Infinite, since the database has no NULL in this column.
    m = np.divide(values - before, average, out=np.full(len(vs), np.inf), where=average != 0)
    statistics["vs_f_int"][rows] = np.where(is_largest, vs, statistics["vs_f_int"][rows])
    statistics["m_f_int"][rows] = np.where(is_largest, m, statistics["m_f_int"][rows])


def _add_quantity(
    statistics: NDArray[Any], rows: Indices, n: NDArray[np.int32], quantity: str, values: Array, errors: Array
) -> None:
    """Update the moments of one kind of flux density, plain ones (Welford 1962) and weighted ones (West 1979)."""
    mean, wmean = statistics[f"mean_{quantity}"], statistics[f"wmean_{quantity}"]
    deviation = values - mean[rows]
    mean[rows] += deviation / n
    statistics[f"m2_{quantity}"][rows] += deviation * (values - mean[rows])

    weight = 1 / errors**2
    wsum = statistics[f"wsum_{quantity}"][rows] + weight
    statistics[f"wsum_{quantity}"][rows] = wsum
    deviation = values - wmean[rows]
    wmean[rows] += deviation * (weight / wsum)
    statistics[f"wm2_{quantity}"][rows] += weight * deviation * (values - wmean[rows])


def modulation_v(statistics: NDArray[Any], quantity: str = "f_int") -> Array:
    """Compute V of each light curve: 0 for one point, NaN if the mean flux density is exactly zero.

    Parameters
    ----------
    statistics
        (n,) of :data:`FLUX_STATISTICS`, n ≥ 1 points each.
    quantity
        ``f_int`` or ``f_peak``.

    Returns
    -------
    (n,) dimensionless; negative if the mean flux density is negative.
    """
    scatter = np.sqrt(statistics[f"m2_{quantity}"] / np.maximum(statistics["n"] - 1, 1))
    mean = statistics[f"mean_{quantity}"]
    undefined = (mean == 0) & (scatter > 0)
    quotient = np.divide(scatter, mean, out=np.zeros_like(scatter), where=mean != 0)
    v: Array = np.where(undefined, np.nan, quotient)
    return v


def weighted_eta(statistics: NDArray[Any], quantity: str = "f_int") -> Array:
    """Compute η of each light curve, the reduced χ² of a constant source; 0 for one point.

    Parameters
    ----------
    statistics, quantity
        As for :func:`modulation_v`.

    Returns
    -------
    (n,) dimensionless
    """
    eta: Array = statistics[f"wm2_{quantity}"] / np.maximum(statistics["n"] - 1, 1)
    return eta


def eta_p_value(
    statistics: NDArray[Any], quantity: str = "f_int", *, freedom: tuple[Array, Array] | None = None
) -> Array:
    """Compute the probability of an η at least as high if the source is constant and its errors are correct.

    (n - 1) η then follows χ² with n - 1 degrees of freedom (Swinbank et al. 2015, sect. 4.6), or with fewer if
    neighbouring epochs share errors, see :mod:`trap.variability.shared_errors`.

    Parameters
    ----------
    statistics
        (n,) of :data:`FLUX_STATISTICS`.
    quantity
        ``f_int`` or ``f_peak``.
    freedom
        (n,) each — degrees of freedom, and scale of (n - 1) η; None if the errors of all epochs are independent.

    Returns
    -------
    (n,) — NaN for one point, and without degrees of freedom.
    """
    degrees, scale = INDEPENDENT.freedom(statistics["n"]) if freedom is None else freedom
    # Some versions of scipy return 1 without degrees of freedom.
    p_value: Array = np.where(degrees > 0, chdtrc(degrees, statistics[f"wm2_{quantity}"] / scale), np.nan)
    return p_value


def modulation_index(statistics: NDArray[Any]) -> tuple[Array, Array]:
    """Compute the relative scatter of each light curve beyond its errors, and the 1σ error of that scatter.

    With the mean squared error σ² and s as in V (Vaughan et al. 2003, eq. 8 to 11 and B2):

        F² = (s² − σ²) / Ī²,   err(F²)² = 2/n (σ²/Ī²)² + 4/n (σ²/Ī²) F²,   err(F) = err(F²) / 2F

    If F² is negative, F is 0. The error of F is limited to √err(F²), since err(F) diverges as F
    approaches 0.

    Parameters
    ----------
    statistics
        (n,) of :data:`FLUX_STATISTICS`.

    Returns
    -------
    index, error
        (n,) dimensionless; NaN for fewer than two points, or a mean that is neither positive nor below -5 σ.
    """
    # Sources of Stokes V may be negative; any other negative mean is of noise, and has no index.
    is_negative = statistics["wmean_f_int"] * np.sqrt(statistics["wsum_f_int"]) < -5
    usable = (statistics["n"] > 1) & ((statistics["mean_f_int"] > 0) | (is_negative & (statistics["mean_f_int"] < 0)))
    n, mean = np.where(usable, statistics["n"], np.nan), np.where(usable, statistics["mean_f_int"], np.nan)
    noise = statistics["err2_f_int"] / n / mean**2
    excess = np.maximum(statistics["m2_f_int"] / (n - 1) / mean**2 - noise, 0.0)
    error = np.sqrt(2 / n * noise**2 + 4 / n * noise * excess)
    index = np.sqrt(excess)
    linear = np.divide(error, 2 * index, out=np.full(len(n), np.inf), where=index > 0)
    return index, np.where(usable, np.minimum(linear, np.sqrt(error)), np.nan)


def light_curve_metrics(
    statistics: NDArray[Any], freedom: tuple[Array, Array] | None = None
) -> dict[str, NDArray[Any]]:
    """Compute all metrics of single light curves.

    Parameters
    ----------
    statistics
        (n,) of :data:`FLUX_STATISTICS`, n ≥ 1 points each.
    freedom
        As for :func:`eta_p_value`.

    Returns
    -------
    Columns of :class:`trap.catalogues.VarMetrics`, (n,) each.
    """
    modulation, modulation_err = modulation_index(statistics)
    return {
        "v_int": modulation_v(statistics),
        "eta_int": weighted_eta(statistics),
        "lightcurve_max": statistics["max_f_int"],
        "lightcurve_avg": statistics["mean_f_int"],
        "lightcurve_wavg": statistics["wmean_f_int"],
        "f_datapoints": statistics["n"],
        "v_peak": modulation_v(statistics, "f_peak"),
        "eta_peak": weighted_eta(statistics, "f_peak"),
        "eta_p_value": eta_p_value(statistics, freedom=freedom),
        "modulation": modulation,
        "modulation_err": modulation_err,
        "vs_max": statistics["vs_f_int"],
        "m_max": np.where(np.isfinite(statistics["m_f_int"]), statistics["m_f_int"], np.nan),
    }


def whole_light_curves(curve: NDArray[np.intp], fluxes: Mapping[str, tuple[Array, Array]]) -> NDArray[Any]:
    """Compute the statistics of whole light curves at once, in two passes.

    The result equals the streamed statistics. It serves to check them, at a cost that grows with the length of the
    light curves.

    Parameters
    ----------
    curve
        (n,) — number of the light curve that each point belongs to, 0 … n_curves - 1, each used.
    fluxes
        As for :func:`add_points`, (n,) Jy.

    Returns
    -------
    (n_curves,) of :data:`FLUX_STATISTICS`, without the largest step.
    """
    n = np.bincount(curve)
    statistics = np.zeros(len(n), FLUX_STATISTICS)
    statistics["n"] = n
    for quantity, (values, errors) in fluxes.items():
        weights = errors**-2.0
        statistics[f"mean_{quantity}"] = mean = np.bincount(curve, values) / n
        statistics[f"m2_{quantity}"] = np.bincount(curve, (values - mean[curve]) ** 2)
        statistics[f"wsum_{quantity}"] = wsum = np.bincount(curve, weights)
        statistics[f"wmean_{quantity}"] = wmean = np.bincount(curve, weights * values) / wsum
        statistics[f"wm2_{quantity}"] = np.bincount(curve, weights * (values - wmean[curve]) ** 2)
    values, errors = fluxes["f_int"]
    statistics["max_f_int"] = -np.inf
    np.maximum.at(statistics["max_f_int"], curve, values)
    statistics["err2_f_int"] = np.bincount(curve, errors**2)
    return statistics


def medians(curve: NDArray[np.intp], values: Array) -> Array:
    """Compute the median of each light curve; for an even number of points, the mean of the middle two.

    Parameters
    ----------
    curve, values
        As in :func:`whole_light_curves`.

    Returns
    -------
    (n_curves,)
    """
    ordered = values[np.lexsort((values, curve))]
    n = np.bincount(curve)
    first = np.cumsum(n) - n
    middle: Array = (ordered[first + (n - 1) // 2] + ordered[first + n // 2]) / 2
    return middle


def spectral_index(frequencies: Array, fluxes: Array, errors: Array) -> tuple[Array, Array]:
    """Fit a power law to the flux densities of each source.

    A straight line is fitted to ln S against ln ν, with σ(ln S) = σ_S / S; its slope and the error of
    the slope follow from weighted least squares (Bevington & Robinson 2003, eq. 6.12 and 6.21 to 6.23):

        α = Σ w (x − x̄) y / Σ w (x − x̄)²,  σ_α² = 1 / Σ w (x − x̄)²,  w = (S / σ_S)²

    Parameters
    ----------
    frequencies
        (n_bands,) Hz
    fluxes, errors
        (n_bands, n) Jy — NaN if a source was not measured; values that are not positive are left out.

    Returns
    -------
    index, error
        (n,) dimensionless — α and its 1σ error; NaN with fewer than two usable bands.
    """
    usable = (fluxes > 0) & (errors > 0) & np.isfinite(errors)
    flux = np.where(usable, fluxes, 1.0)
    weight = np.where(usable, flux / np.where(usable, errors, 1.0), 0.0) ** 2
    x = np.log(frequencies / frequencies.max(initial=1.0))[:, np.newaxis]
    total = weight.sum(axis=0)
    has_two_bands = usable.sum(axis=0) > 1
    offset = x - (weight * x).sum(axis=0) / np.where(total > 0, total, 1.0)
    spread = np.where(has_two_bands, (weight * offset**2).sum(axis=0), np.nan)
    index: Array = (weight * offset * np.log(flux)).sum(axis=0) / spread
    return index, spread**-0.5
