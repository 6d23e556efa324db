"""Comparison of all light curves of a dataset with constant sources that have correct errors.

For constant sources the probabilities of η (:func:`trap.variability.metrics.eta_p_value`) are uniform
between 0 and 1. Their deviation from uniformity tests errors, association and calibration with all
sources at once, regardless of the lengths of the light curves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import kolmogorov

from trap.catalogues import VARIABLE_P

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["Constancy", "compare_with_constant"]


class Constancy(NamedTuple):
    """Result of the comparison of light curves with constant sources.

    Parameters
    ----------
    n
        Number of light curves with two points or more.
    distance
        Largest distance between the cumulative distribution of their probabilities and a uniform one.
    p_value
        Probability of a distance at least as large if all sources are constant and all errors are correct.
    median
        Median of the probabilities: 0.5 if most sources are constant and their errors are correct.
    n_variable
        Number of light curves with a probability below :data:`~trap.catalogues.VARIABLE_P`.
    scatter
        Median of the relative scatter beyond the errors; NaN if it is unknown.
    """

    n: int
    distance: float
    p_value: float
    median: float
    n_variable: int
    scatter: float


def compare_with_constant(eta_p_values: ArrayLike, modulation: ArrayLike = np.nan) -> Constancy | None:
    """Compare light curves with constant sources by a Kolmogorov–Smirnov test.

    The probability is asymptotic, with the correction of Stephens (1970) for small samples. The test is
    not ``scipy.stats.ks_1samp``, because importing ``scipy.stats`` takes 0.3 s in every process.

    Parameters
    ----------
    eta_p_values
        (n,) — probabilities of η; NaN is left out.
    modulation
        (n,) — relative scatter of each light curve beyond its errors; NaN is left out.

    Returns
    -------
    Result of the test; None without a finite probability.
    """
    values = np.asarray(eta_p_values, float)
    values = np.sort(values[np.isfinite(values)])
    n = len(values)
    if n == 0:
        return None
    distance = max((np.arange(1, n + 1) / n - values).max(), (values - np.arange(n) / n).max())
    root = np.sqrt(n)
    p_value = float(kolmogorov((root + 0.12 + 0.11 / root) * distance))
    excess = np.asarray(modulation, float)
    excess = excess[np.isfinite(excess)]
    scatter = float(np.median(excess)) if excess.size else np.nan
    n_variable = int(np.count_nonzero(values < VARIABLE_P))
    return Constancy(n, float(distance), p_value, float(np.median(values)), n_variable, scatter)
