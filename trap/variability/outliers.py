"""A normal distribution fitted to the bulk of some values, whatever the outliers among them.

Sources are mostly constant, and log10 η and log10 V of these are about normally distributed; variables lie above. A cut
at so many σ above the mean of the bulk, as Rowlinson et al. (2019, Astronomy and Computing 27, 111) use it, therefore
needs a fit that variables do not move.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from trap.typing import Array

__all__ = ["Normal", "fit_bulk"]

CLIP = 3.0
"""σ — values farther from the mean are outliers."""
MIN_VALUES = 10
"""Smallest number of values of a fit."""
MAX_ROUNDS = 100
_INSIDE = math.erf(CLIP / math.sqrt(2))
_LOST = 2 * CLIP * math.exp(-(CLIP**2) / 2) / math.sqrt(2 * math.pi) / _INSIDE
"""Share of the variance of a normal distribution that lies beyond the clip (Johnson, Kotz & Balakrishnan 1994, eq.
13.135): a distribution that is cut off at ±k has the variance σ² (1 − 2 k φ(k) / (2 Φ(k) − 1))."""
_FROM_MAD = 1.482602218505602
"""σ of a normal distribution over its median absolute deviation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Normal:
    """A normal distribution.

    Parameters
    ----------
    mean, sigma
        In the unit of the values.
    n
        Number of values in the bulk.
    """

    mean: float
    sigma: float
    n: int

    def at(self, n_sigma: float) -> float:
        """Return the value at a number of σ above the mean."""
        return self.mean + n_sigma * self.sigma

    def density(self, values: Array) -> Array:
        """Return the expected number of values of the bulk per unit, (n,)."""
        total = self.n / _INSIDE
        deviation = (np.asarray(values, float) - self.mean) / self.sigma
        found: Array = total / (self.sigma * math.sqrt(2 * math.pi)) * np.exp(-(deviation**2) / 2)
        return found


def fit_bulk(values: Array) -> Normal | None:
    """Fit a normal distribution to values without their outliers.

    The fit starts at the median and the median absolute deviation. Values beyond 3 σ are left out, and mean and σ are
    computed from the others, corrected for the tails that are cut off, until the same values are left out again.

    Parameters
    ----------
    values
        (n,) — values; the ones that are not finite are left out.

    Returns
    -------
    The distribution; None for fewer than ten values, or if half of them are equal.
    """
    usable = np.asarray(values, float)
    usable = usable[np.isfinite(usable)]
    if usable.size < MIN_VALUES:
        return None
    mean = float(np.median(usable))
    sigma = _FROM_MAD * float(np.median(np.abs(usable - mean)))
    n_before = -1
    for _ in range(MAX_ROUNDS):
        inside = usable[np.abs(usable - mean) <= CLIP * sigma]
        if inside.size == n_before:
            break
        n_before = inside.size
        mean, sigma = float(inside.mean()), float(inside.std() / math.sqrt(1 - _LOST))
    return Normal(mean=mean, sigma=sigma, n=n_before) if sigma > 0 else None
