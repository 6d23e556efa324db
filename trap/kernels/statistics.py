"""Level and noise of samples with sources in them, by clipping about the median."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.kernels.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.typing import Array


__all__ = ["clipped_moments"]


@compiled
def clipped_moments(
    ordered: NDArray[np.float32], n_sigma: float, sigma_of_limit: Array, deviation_of_limit: Array
) -> tuple[Array, Array, Array]:
    """Compute median, mean and noise of each row, clipped about the median until no value is beyond the limit.

    Clipping moves the two ends of a range of the sorted row, and sums over a range are differences of running sums.
    Therefore all rounds together cost less than the sort. The noise is corrected for the truncation: a Gaussian of this
    σ, truncated at the limit of the previous round, has the standard deviation of the clipped values.

    Parameters
    ----------
    ordered
        (n, m) — each row sorted, NaN last.
    n_sigma
        Limit of the distance from the median, in σ.
    sigma_of_limit, deviation_of_limit
        (k,) — σ of a Gaussian, and its standard deviation after truncation, both in units of the limit; increasing.

    Returns
    -------
    median, mean, sigma
        (n,) — NaN if a row has no value.
    """
    n_rows, m = ordered.shape
    medians, means, sigmas = np.full(n_rows, np.nan), np.full(n_rows, np.nan), np.full(n_rows, np.nan)
    sums, squares = np.zeros(m + 1), np.zeros(m + 1)
    for i in range(n_rows):
        row = ordered[i]
        n_good = _first_nan(row)
        if n_good == 0:
            continue
        # Relative to a typical value, as differences of the squares of large numbers lose precision.
        shift = float(row[(n_good - 1) // 2])
        for j in range(n_good):
            value = row[j] - shift
            sums[j + 1] = sums[j] + value
            squares[j + 1] = squares[j] + value * value
        low, high, limit = 0, n_good, np.inf
        while True:
            n = high - low
            median = (float(row[low + n // 2]) + float(row[low + (n - 1) // 2])) / 2 - shift
            mean = (sums[high] - sums[low]) / n
            deviation = np.sqrt(max((squares[high] - squares[low]) / n - mean * mean, 0.0))
            sigma = _untruncated(deviation, limit, sigma_of_limit, deviation_of_limit)
            limit = n_sigma * sigma
            new_low, new_high = low, high
            while new_low < high and row[new_low] - shift < median - limit:
                new_low += 1
            while new_high > new_low and row[new_high - 1] - shift > median + limit:
                new_high -= 1
            # The end is reached if no value is clipped, or if all values would be.
            if new_low >= new_high or (new_low == low and new_high == high):
                break
            low, high = new_low, new_high
        medians[i], means[i], sigmas[i] = shift + median, shift + mean, sigma
    return medians, means, sigmas


@compiled
def _first_nan(row: NDArray[np.float32]) -> int:
    """Find the number of values before the first NaN of a sorted row, by bisection."""
    low, high = 0, row.size
    while low < high:
        middle = (low + high) // 2
        if np.isnan(row[middle]):
            high = middle
        else:
            low = middle + 1
    return low


@compiled
def _untruncated(deviation: float, limit: float, sigma_of_limit: Array, deviation_of_limit: Array) -> float:
    """Interpolate the σ of a Gaussian with standard deviation ``deviation`` after truncation at ± ``limit``."""
    if np.isinf(limit) or limit <= 0:
        return deviation
    ratio = deviation / limit
    # Below the table no value was truncated. At its other end the distribution is flat, and σ is undetermined.
    if ratio < deviation_of_limit[0]:
        return deviation
    k = max(int(np.searchsorted(deviation_of_limit, ratio)), 1)
    if k >= deviation_of_limit.size:
        return limit * float(sigma_of_limit[-1])
    width = deviation_of_limit[k] - deviation_of_limit[k - 1]
    share = (ratio - deviation_of_limit[k - 1]) / width
    return limit * float(sigma_of_limit[k - 1] + share * (sigma_of_limit[k] - sigma_of_limit[k - 1]))
