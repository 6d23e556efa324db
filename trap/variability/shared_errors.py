"""Errors that neighbouring epochs share, and the degrees of freedom that they leave.

Sidelobes and calibration change slowly, so that the errors of neighbouring epochs are often correlated. The sum
Q = (n − 1) η of a constant source then no longer follows χ² with n − 1 degrees of freedom. With the correlation matrix
R of the errors of a light curve and M = I − 11ᵀ/n, Q is xᵀ M x, with

    E[Q] = tr(M R),   Var[Q] = 2 tr(M R M R),

and Q/c follows χ² with ν degrees of freedom to good accuracy, if both moments agree (Satterthwaite 1946):

    ν = E[Q]² / ½ Var[Q],   c = E[Q] / ν.

Independent epochs have R = I, ν = n − 1 and c = 1 exactly. ν + 1 is the effective number of epochs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from trap.typing import Array

__all__ = [
    "INDEPENDENT",
    "MIN_CURVES",
    "MIN_POINTS",
    "SharedErrors",
    "degrees_of_freedom",
    "measure_correlation",
]

MIN_POINTS = 20
"""Smallest length of a light curve whose errors are examined."""
MIN_CURVES = 20
"""Smallest number of light curves that are examined, since among few a real variable cannot be recognised."""
MAX_LAGS = 250
MIN_SCATTER = 1e-4
"""Smallest scatter of a light curve in units of its errors; a lower one may be due to rounding."""
MAX_SCATTER = 1.5
"""Largest scatter of a light curve relative to their median; the residuals of those above are scaled to it."""
SIGNIFICANCE = 3.0
"""Significance in σ of a correlation that is taken as real, and of a light curve that is left out as unlike others."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SharedErrors:
    """Correlation of the errors of neighbouring points of light curves in one band and Stokes parameter.

    Parameters
    ----------
    lags
        (n_lags,) — correlation of points that are 1, 2, …, n_lags epochs apart; 0 for points further apart.
    """

    lags: Array

    def freedom(self, n: NDArray[np.integer]) -> tuple[Array, Array]:
        """Return the distribution of (n − 1) η of constant sources.

        Parameters
        ----------
        n
            (n_curves,) — numbers of points.

        Returns
        -------
        freedom, scale
            (n_curves,) each — (n − 1) η over the scale follows χ² with these degrees of freedom; NaN for one point,
            and if the errors leave no freedom.
        """
        length = np.asarray(n, float)
        undefined = length <= 1
        if not len(self.lags):
            return np.where(undefined, np.nan, length - 1), np.ones(len(length))
        lag = np.arange(1, len(self.lags) + 1)
        # As in the sums of a matrix of n × n elements, in which lag l occurs n − l times on each side.
        lengths, number = np.unique(np.maximum(length, 1), return_inverse=True)
        times = np.maximum(lengths[:, np.newaxis] - lag, 0.0)
        total = lengths + 2 * times @ self.lags
        squares = lengths + 2 * times @ self.lags**2
        mean = lengths - total / lengths
        half_variance = squares - 2 * self._row_sums_squared(lengths) / lengths + (total / lengths) ** 2
        usable = (mean > 0) & (half_variance > 0)
        mean, half_variance = np.where(usable, mean, np.nan), np.where(usable, half_variance, np.nan)
        freedom, scale = mean**2 / half_variance, half_variance / mean
        return np.where(undefined, np.nan, freedom[number]), np.where(undefined, np.nan, scale[number])

    def _row_sums_squared(self, lengths: Array) -> Array:
        """Return 1ᵀR²1 for matrices of some sizes; beyond the lags at both ends, all rows have the same sum."""
        n_lags = len(self.lags)
        short = lengths < len(self._short)
        inner = (lengths - 2 * n_lags) * (2 * self._reach[-1] - 1) ** 2
        edges = 2 * ((self._reach[:-1] + self._reach[-1] - 1) ** 2).sum()
        sums: Array = np.where(short, self._short[np.where(short, lengths, 0).astype(int)], inner + edges)
        return sums

    @cached_property
    def _reach(self) -> Array:
        """Sums of the correlations up to each lag, from lag 0 on; (n_lags + 1,)."""
        reach: Array = np.cumsum(np.concatenate([[1.0], self.lags]))
        return reach

    @cached_property
    def _short(self) -> Array:
        """1ᵀR²1 of the matrices that are smaller than twice the number of lags, by their size; (2 n_lags,)."""
        n_lags = len(self.lags)
        size, row = np.ogrid[: 2 * n_lags, : 2 * n_lags]
        before, after = np.minimum(row, n_lags), np.clip(size - 1 - row, 0, n_lags)
        sums: Array = ((self._reach[before] + self._reach[after] - 1) ** 2 * (row < size)).sum(axis=1)
        return sums


INDEPENDENT = SharedErrors(lags=np.empty(0))
"""Errors that neighbouring epochs do not share."""


def degrees_of_freedom(
    n: NDArray[np.integer],
    bands: NDArray[np.integer],
    stokes: NDArray[np.integer],
    shared: Mapping[tuple[int, int], SharedErrors],
) -> tuple[Array, Array]:
    """Return the distributions of (n − 1) η of constant sources in several bands and Stokes parameters.

    Parameters
    ----------
    n
        (n_curves,) — numbers of points.
    bands, stokes
        (n_curves,) — band and Stokes parameter of each light curve.
    shared
        Shared errors by band and Stokes parameter; those that are not among them are independent.

    Returns
    -------
    As of :meth:`SharedErrors.freedom`.
    """
    freedom, scale = INDEPENDENT.freedom(n)
    for (band, parameter), errors in shared.items():
        chosen = np.flatnonzero((bands == band) & (stokes == parameter))
        freedom[chosen], scale[chosen] = errors.freedom(n[chosen])
    return freedom, scale


def measure_correlation(curve: NDArray[np.intp], epoch: NDArray[np.intp], values: Array, errors: Array) -> Array:
    """Measure the correlation of the errors of neighbouring points from many light curves.

    Light curves unlike the others are left out, and the weight of each is limited, so that a few variable sources do
    not matter. The correlations are averaged up to the first lag whose mean does not exceed zero significantly, or to a
    quarter of the points. The error of a mean is derived from its scatter between epochs rather than sources, since
    errors that are common to the sources of an image make these depend on each other: such errors alone are no
    correlation in time.

    Parameters
    ----------
    curve
        (n,) — number of the light curve that each point belongs to, 0 … n_curves - 1, each used; ascending.
    epoch
        (n,) — number of the epoch of each point, from 0; each light curve is in order of time.
    values, errors
        (n,) Jy — flux densities and their errors.

    Returns
    -------
    (n_lags,) — correlations of points that are 1, 2, … epochs apart; empty if the errors are independent, or if there
    are fewer than :data:`MIN_CURVES` light curves of :data:`MIN_POINTS` points that scatter.
    """
    residuals, n = _residuals(curve, values, errors)
    kept = _typical(curve, residuals, n)
    if np.count_nonzero(kept) < MIN_CURVES:
        return np.empty(0)
    chosen = kept[curve]
    scatter = np.sqrt(np.bincount(curve, residuals**2) / n)
    # A scale of its own for every light curve would lower the correlations of short ones.
    scale = np.maximum(np.median(scatter[kept]), scatter / MAX_SCATTER)
    curve, epoch, residuals = curve[chosen], epoch[chosen], (residuals / scale[curve])[chosen]
    residuals /= np.sqrt((residuals**2).mean())
    return _sum_lags(curve, epoch, residuals, n.astype(float), min(int(np.median(n[kept])) // 4, MAX_LAGS))


def _residuals(curve: NDArray[np.intp], values: Array, errors: Array) -> tuple[Array, NDArray[np.intp]]:
    """Return the deviations from the weighted means in units of the errors, and the number of points of each curve."""
    weights = errors**-2.0
    mean = np.bincount(curve, weights * values) / np.bincount(curve, weights)
    return (values - mean[curve]) / errors, np.bincount(curve)


def _typical(curve: NDArray[np.intp], residuals: Array, n: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return the long light curves whose scatter, and whose correlation of neighbours, are like those of the others.

    η^⅓ is compared, since its distribution is nearly normal, with a variance of 2/9ν (Wilson & Hilferty 1931).
    """
    squares = np.bincount(curve, residuals**2)
    usable = (n >= MIN_POINTS) & (squares > MIN_SCATTER**2 * n)
    if not usable.any():
        return usable
    pairs = np.flatnonzero(np.diff(curve) == 0)
    products = np.bincount(curve[pairs], residuals[pairs] * residuals[pairs + 1], minlength=len(n))
    root = np.cbrt(squares[usable] / (n[usable] - 1))
    freedom = n[usable] - 1
    typical = usable.copy()
    typical[usable] = _is_typical(root / np.median(root), np.sqrt(2 / (9 * freedom)))
    typical[usable] &= _is_typical(products[usable] / squares[usable], 1 / np.sqrt(freedom))
    return typical


def _is_typical(values: Array, errors: Array) -> NDArray[np.bool_]:
    """Compare values with their median, in units of their errors, or of their scatter if that is larger."""
    deviation = np.abs(values - np.median(values)) / errors
    typical: NDArray[np.bool_] = deviation <= SIGNIFICANCE * max(1.0, float(np.median(deviation)) / 0.6745)
    return typical


def _sum_lags(curve: NDArray[np.intp], epoch: NDArray[np.intp], residuals: Array, n: Array, max_lag: int) -> Array:
    """Average the products of residuals of unit mean square over the light curves, lag by lag.

    Since the mean of each light curve is subtracted, a mean product r is lower than the correlation ρ:
    r = (ρ − τ/n) / (1 − τ/n), τ = 1 + 2 Σ ρ. The τ that solves these equations is known after each lag.
    """
    means: list[float] = []
    share = float((1 / n[curve]).mean())
    time, inflation = 1.0, 1.0
    for lag in range(1, max_lag + 1):
        first = np.flatnonzero(curve[lag:] == curve[:-lag])
        products = residuals[first] * residuals[first + lag]
        bias = time / n[curve[first]]
        excess = np.bincount(epoch[first], products * (1 - bias) + bias)
        # Shared errors make the products of neighbouring epochs depend on each other (Bartlett 1946).
        error = np.sqrt((excess**2).sum() * inflation)
        if not excess.sum() > SIGNIFICANCE * error:
            break
        means.append(float(products.mean()))
        inflation += 2 * (excess.sum() / len(first)) ** 2
        time = (1 + 2 * sum(means)) / (1 + 2 * (sum(means) - lag) * share)
    corrected: Array = np.array(means) * (1 - time * share) + time * share
    return corrected
