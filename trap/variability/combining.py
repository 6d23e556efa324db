"""Statistics of light curves that are made of several parts, such as the seasons of a source.

The moments of the whole follow exactly from the moments of its parts (Chan, Golub & LeVeque 1983, eq. 2.1):

    M2 = Σ M2ᵢ + Σ nᵢ (Īᵢ − Ī)²

The same holds with weights. Only the largest step is not a moment: of a combined light curve it is the largest step
within a part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trap.flux_statistics import FLUX_STATISTICS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.typing import Array, Indices

__all__ = ["combine_freedom", "combine_statistics", "metrics_so_far", "rescale_statistics"]

QUANTITIES = ("f_peak", "f_int")


def combine_statistics(statistics: NDArray[Any], curve: Indices, scale_err: Array) -> NDArray[Any]:
    """Combine the statistics of the parts of light curves.

    Parameters
    ----------
    statistics
        (n,) of :data:`~trap.flux_statistics.FLUX_STATISTICS` — parts, with at least one point each.
    curve
        (n,) — number of the light curve of each part, 0 … n_curves - 1, each used.
    scale_err
        (n,) — relative error of the flux scale of each part against the other parts. It is common to the points of a
        part, so that it only weakens the differences between parts.

    Returns
    -------
    (n_curves,) of :data:`~trap.flux_statistics.FLUX_STATISTICS`
    """
    n = statistics["n"]
    combined = np.zeros(int(curve.max(initial=-1)) + 1, FLUX_STATISTICS)
    combined["n"] = total = np.bincount(curve, n)
    for name in QUANTITIES:
        means, wmeans, weights = (statistics[f"{kind}_{name}"] for kind in ("mean", "wmean", "wsum"))
        combined[f"mean_{name}"] = mean = np.bincount(curve, n * means) / total
        combined[f"m2_{name}"] = np.bincount(curve, statistics[f"m2_{name}"] + n * (means - mean[curve]) ** 2)
        combined[f"wsum_{name}"] = wsum = np.bincount(curve, weights)
        combined[f"wmean_{name}"] = np.bincount(curve, weights * wmeans) / wsum
        between = 1 / (1 / weights + (scale_err * wmeans) ** 2)
        centre = np.bincount(curve, between * wmeans) / np.bincount(curve, between)
        combined[f"wm2_{name}"] = np.bincount(
            curve, statistics[f"wm2_{name}"] + between * (wmeans - centre[curve]) ** 2
        )
    combined["max_f_int"] = -np.inf
    np.maximum.at(combined["max_f_int"], curve, statistics["max_f_int"])
    combined["err2_f_int"] = np.bincount(curve, statistics["err2_f_int"])
    largest = np.lexsort((np.abs(statistics["vs_f_int"]), curve))
    largest = largest[np.diff(curve[largest], append=-1) != 0]
    for name in ("vs_f_int", "m_f_int"):
        combined[name] = statistics[name][largest]
    return combined


def rescale_statistics(statistics: NDArray[Any], gain: Array) -> NDArray[Any]:
    """Divide the flux densities of light curves by gains.

    Parameters
    ----------
    statistics
        (n,) of :data:`~trap.flux_statistics.FLUX_STATISTICS`.
    gain
        (n,) — positive factors.

    Returns
    -------
    (n,) — statistics of the divided flux densities and errors. Ratios such as V and η are the same.
    """
    powers = {"mean": 1, "m2": 2, "wsum": -2, "wmean": 1}
    scaled = statistics.copy()
    for name in QUANTITIES:
        for kind, power in powers.items():
            scaled[f"{kind}_{name}"] = statistics[f"{kind}_{name}"] / gain**power
    scaled["max_f_int"] = statistics["max_f_int"] / gain
    scaled["err2_f_int"] = statistics["err2_f_int"] / gain**2
    return scaled


def combine_freedom(freedom: Array, scale: Array, curve: Indices) -> tuple[Array, Array]:
    """Combine the distributions of (n − 1) η of the parts of constant light curves.

    The parts and the differences between them add their means and variances, as
    :mod:`trap.variability.shared_errors` describes; k parts differ with k − 1 degrees of freedom.

    Parameters
    ----------
    freedom, scale
        (n,) each — (n − 1) η of a part over the scale follows χ² with these degrees of freedom; NaN for one point.
    curve
        (n,) — number of the light curve of each part, 0 … n_curves - 1, each used.

    Returns
    -------
    freedom, scale
        (n_curves,) each — the same for the whole light curves.
    """
    mean = np.where(np.isfinite(freedom), freedom * scale, 0.0)
    half_variance = np.where(np.isfinite(freedom), freedom * scale**2, 0.0)
    n_differences = np.bincount(curve) - 1
    total = np.bincount(curve, mean) + n_differences
    spread = np.bincount(curve, half_variance) + n_differences
    is_defined = total > 0
    divisor = np.where(is_defined, spread, 1.0), np.where(is_defined, total, 1.0)
    combined: tuple[Array, Array] = (
        np.where(is_defined, total**2 / divisor[0], np.nan),
        np.where(is_defined, spread / divisor[1], np.nan),
    )
    return combined


def metrics_so_far(curve: Indices, values: Array, errors: Array) -> tuple[NDArray[np.int64], Array, Array]:
    """Compute V and η of light curves up to each of their points.

    The sums of :mod:`trap.variability.metrics` are taken around the mean of the whole light curve, where nothing
    cancels.

    Parameters
    ----------
    curve
        (n,) — number of the light curve of each point, 0 … n_curves - 1; the points of a light curve are in order of
        time, and may lie between others.
    values, errors
        (n,) Jy — flux densities and their errors; a point without both is no flux point.

    Returns
    -------
    n_points, v, eta
        (n,) each — number of flux points so far, V and η; NaN before the first one, and V if the mean is zero.
    """
    order = np.argsort(curve, kind="stable")
    sorted_curve = curve[order]
    is_flux = (np.isfinite(values) & np.isfinite(errors) & (errors > 0))[order]
    flux = np.where(is_flux, values[order], 0.0)
    weight = np.where(is_flux, np.where(is_flux, errors[order], 1.0) ** -2.0, 0.0)
    total = np.bincount(sorted_curve, weight)
    centre = np.bincount(sorted_curve, weight * flux) / np.where(total > 0, total, 1.0)
    offset = np.where(is_flux, flux - centre[sorted_curve], 0.0)
    # In units of the light curve, sums over many light curves lose no digits of a faint one next to a bright one.
    n_fluxes = np.maximum(np.bincount(sorted_curve, is_flux), 1)
    spread = np.sqrt(np.bincount(sorted_curve, offset**2) / n_fluxes)
    spread = np.where(spread > 0, spread, 1.0)[sorted_curve]
    typical = np.where(total > 0, total, 1.0)[sorted_curve] / n_fluxes[sorted_curve]
    offset, weight = offset / spread, weight / typical
    starts = np.flatnonzero(np.diff(sorted_curve, prepend=-1))
    first = np.repeat(starts, np.diff(starts, append=len(curve)))

    def so_far(terms: Array) -> Array:
        sums = np.concatenate([[0.0], np.cumsum(terms)])
        return np.asarray(sums[1:] - sums[first], float)

    n = so_far(is_flux.astype(float))
    some, freedom = np.maximum(n, 1.0), np.maximum(n - 1, 1.0)
    sum_weights = so_far(weight)
    divisor = np.where(sum_weights > 0, sum_weights, 1.0)
    mean = centre[sorted_curve] + spread * so_far(offset) / some
    scatter = spread * np.sqrt(np.maximum(so_far(offset**2) - so_far(offset) ** 2 / some, 0.0) / freedom)
    chisq = np.maximum(so_far(weight * offset**2) - so_far(weight * offset) ** 2 / divisor, 0.0)
    v = np.divide(scatter, mean, out=np.where(scatter > 0, np.nan, 0.0), where=mean != 0)
    is_one = n == 1
    eta, v = np.where(is_one, 0.0, typical * spread**2 * chisq / freedom), np.where(is_one, 0.0, v)
    result = np.empty((3, len(curve)))
    result[:, order] = n, np.where(n > 0, v, np.nan), np.where(n > 0, eta, np.nan)
    return result[0].astype(np.int64), result[1], result[2]
