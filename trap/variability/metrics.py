"""How much a light curve varies: V and η, streamed point by point and exact to a two-pass sum.

For n flux densities I with errors σ and weights w = 1/σ² (Swinbank et al. 2015, sect. 4.6):

    V = s / Ī,                  s² = Σ (I − Ī)² / (n − 1)
    η = Σ w (I − ξ)² / (n − 1), ξ = Σ w I / Σ w

TraP keeps ⟨I⟩ and ⟨I²⟩ and subtracts, which cancels catastrophically for bright steady sources.
Here the sums of squared deviations themselves are updated (Welford 1962; West 1979 for weights),
so a constant source gives exactly zero, and the cost of a point does not depend on how many came
before.

Beside these stand the modulation index without the part that errors explain, how probable an η is
of a constant source, and the largest step of the light curve, each with its own function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import chdtrc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from trap.typing import Array, Indices


__all__ = [
    "FLUX_STATISTICS",
    "add_points",
    "eta_p_value",
    "medians",
    "modulation_index",
    "modulation_v",
    "weighted_eta",
    "whole_light_curves",
]

_MOMENTS = [("mean", "f8"), ("m2", "f8"), ("wsum", "f8"), ("wmean", "f8"), ("wm2", "f8")]

FLUX_STATISTICS = np.dtype(
    [
        ("n", "i4"),
        *[(f"{name}_{q}", kind) for q in ("f_peak", "f_int") for name, kind in _MOMENTS],
        *[(f"{name}_f_int", "f8") for name in ("max", "err2", "vs", "m")],
    ]
)
"""State of one light curve: ``n`` points and, for f_peak [Jy/beam] and f_int [Jy], the mean,
``m2`` = Σ (I − mean)², ``wsum`` = Σ w, the weighted mean ``wmean`` and ``wm2`` = Σ w (I − wmean)²;
for f_int also the highest, ``err2`` = Σ σ², and ``vs`` and ``m`` of its largest step."""


def add_points(statistics: NDArray[Any], rows: Indices, fluxes: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> None:
    """Add one flux point to each of several light curves, in place.

    Parameters
    ----------
    statistics
        (n_curves,) of :data:`FLUX_STATISTICS`.
    rows
        (m,) — the light curves that get a point; each at most once.
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
    """Compare each new point with the mean of those before, and keep the step if it is the largest so far.

    Vs = ΔI / σ(ΔI) and m = ΔI / mean of the two, as Mooley et al. (2016, eq. 1 and 3) of two epochs.
    They compare all pairs of epochs, at a cost that grows with the square of their number.
    """
    later = n > 1
    before = statistics["wmean_f_int"][rows]
    error = np.sqrt(errors**2 + 1 / np.where(later, statistics["wsum_f_int"][rows], 1.0))
    vs = np.where(later, (values - before) / error, 0.0)
    largest = np.abs(vs) > np.abs(statistics["vs_f_int"][rows])
    middle = (values + before) / 2
    # Of fluxes that cancel there is no mean; a forced fit may be negative.
    m = np.divide(values - before, middle, out=np.full(len(vs), np.nan), where=middle != 0)
    statistics["vs_f_int"][rows] = np.where(largest, vs, statistics["vs_f_int"][rows])
    statistics["m_f_int"][rows] = np.where(largest, m, statistics["m_f_int"][rows])


def _add_quantity(
    statistics: NDArray[Any], rows: Indices, n: NDArray[np.int32], quantity: str, values: Array, errors: Array
) -> None:
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
    """V of each light curve: 0 for one point, NaN where the mean flux density is exactly zero.

    Parameters
    ----------
    statistics
        (n,) of :data:`FLUX_STATISTICS`, n ≥ 1 points each.
    quantity
        ``f_int`` or ``f_peak``.

    Returns
    -------
    (n,) dimensionless; negative where the mean flux density is.
    """
    scatter = np.sqrt(statistics[f"m2_{quantity}"] / np.maximum(statistics["n"] - 1, 1))
    mean = statistics[f"mean_{quantity}"]
    undefined = (mean == 0) & (scatter > 0)
    quotient = np.divide(scatter, mean, out=np.zeros_like(scatter), where=mean != 0)
    v: Array = np.where(undefined, np.nan, quotient)
    return v


def weighted_eta(statistics: NDArray[Any], quantity: str = "f_int") -> Array:
    """η of each light curve, the reduced χ² of a constant source; 0 for one point.

    Parameters
    ----------
    statistics
        (n,) of :data:`FLUX_STATISTICS`, n ≥ 1 points each.
    quantity
        ``f_int`` or ``f_peak``.
    """
    eta: Array = statistics[f"wm2_{quantity}"] / np.maximum(statistics["n"] - 1, 1)
    return eta


def eta_p_value(statistics: NDArray[Any], quantity: str = "f_int") -> Array:
    """Tell how probable an η at least as high is if the source is constant and its errors are right.

    (n - 1) η then follows χ² with n - 1 degrees of freedom (Swinbank et al. 2015, sect. 4.6).

    Returns
    -------
    (n,) — NaN for one point.
    """
    freedom = np.where(statistics["n"] > 1, statistics["n"] - 1.0, np.nan)
    p_value: Array = chdtrc(freedom, statistics[f"wm2_{quantity}"])
    return p_value


def modulation_index(statistics: NDArray[Any]) -> tuple[Array, Array]:
    """Relative scatter of each light curve beyond what its errors explain, and the error of that.

    With the mean squared error σ² and s as in V (Vaughan et al. 2003, eq. 8 to 11 and B2):

        F² = (s² − σ²) / Ī²,   err(F²)² = 2/n (σ²/Ī²)² + 4/n (σ²/Ī²) F²,   err(F) = err(F²) / 2F

    Where F² is negative, F is given as 0. Its error is not taken beyond √err(F²), which it would
    exceed where F is close to 0.

    Returns
    -------
    index, error
        (n,) dimensionless; NaN for fewer than two points, or a mean that is not positive.
    """
    usable = (statistics["n"] > 1) & (statistics["mean_f_int"] > 0)
    n, mean = np.where(usable, statistics["n"], np.nan), np.where(usable, statistics["mean_f_int"], np.nan)
    noise = statistics["err2_f_int"] / n / mean**2
    excess = np.maximum(statistics["m2_f_int"] / (n - 1) / mean**2 - noise, 0.0)
    error = np.sqrt(2 / n * noise**2 + 4 / n * noise * excess)
    index = np.sqrt(excess)
    linear = np.divide(error, 2 * index, out=np.full(len(n), np.inf), where=index > 0)
    return index, np.where(usable, np.minimum(linear, np.sqrt(error)), np.nan)


def whole_light_curves(curve: NDArray[np.intp], values: Array, errors: Array) -> NDArray[Any]:
    """Make the statistics of whole light curves at once, in two passes.

    What streaming arrives at, computed the other way: it repairs, checks, and costs what the
    history costs.

    Parameters
    ----------
    curve
        (n,) — number of the light curve that each point belongs to, 0 … n_curves - 1, each used.
    values, errors
        (n,) Jy — integrated flux densities and their errors.

    Returns
    -------
    (n_curves,) of :data:`FLUX_STATISTICS`, with those of the integrated flux density only.
    """
    weights = errors**-2.0
    n = np.bincount(curve)
    statistics = np.zeros(len(n), FLUX_STATISTICS)
    statistics["n"] = n
    statistics["mean_f_int"] = mean = np.bincount(curve, values) / n
    statistics["m2_f_int"] = np.bincount(curve, (values - mean[curve]) ** 2)
    statistics["wsum_f_int"] = wsum = np.bincount(curve, weights)
    statistics["wmean_f_int"] = wmean = np.bincount(curve, weights * values) / wsum
    statistics["wm2_f_int"] = np.bincount(curve, weights * (values - wmean[curve]) ** 2)
    statistics["max_f_int"] = -np.inf
    np.maximum.at(statistics["max_f_int"], curve, values)
    return statistics


def medians(curve: NDArray[np.intp], values: Array) -> Array:
    """Median of each light curve; of an even number of points, the mean of the middle two.

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
