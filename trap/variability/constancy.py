"""Whether the light curves of a survey scatter as constant sources with right errors do.

The probabilities of their η (:func:`trap.variability.metrics.eta_p_value`) are then spread evenly between 0
and 1. How far they are from that is a check of the errors, of association and of calibration, on
all sources at once; it needs no light curve to be of a given length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import kolmogorov

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["Constancy", "compare_with_constant"]


class Constancy(NamedTuple):
    """How light curves compare with those of constant sources.

    Parameters
    ----------
    n
        Light curves of two points or more.
    distance
        Largest distance between the distribution of their probabilities and an even one.
    p_value
        Probability of so large a distance if all are constant and all errors are right.
    """

    n: int
    distance: float
    p_value: float


def compare_with_constant(eta_p_values: ArrayLike) -> Constancy | None:
    """Compare light curves with those of constant sources, by the test of Kolmogorov and Smirnov.

    The probability is the asymptotic one with the correction of Stephens (1970) for few.

    Parameters
    ----------
    eta_p_values
        (n,) — probabilities of their η; NaN is left out.

    Returns
    -------
    None where there is no light curve to compare.
    """
    values = np.asarray(eta_p_values, float)
    values = np.sort(values[np.isfinite(values)])
    n = len(values)
    if n == 0:
        return None
    distance = max((np.arange(1, n + 1) / n - values).max(), (values - np.arange(n) / n).max())
    root = np.sqrt(n)
    return Constancy(n, float(distance), float(kolmogorov((root + 0.12 + 0.11 / root) * distance)))
