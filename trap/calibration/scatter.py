"""Scatter beyond the errors, and weights that no single source decides."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from trap.typing import Array

__all__ = ["biweight", "excess_variance"]

N_STEPS = 30
"""Steps of Newton's method; it converges in a few, always from below."""
SIGNIFICANT = 4.0
"""Excess of χ² over its expectation, in standard deviations of χ², from which there is scatter beyond the errors."""


def biweight(squares: Array, limit: float) -> Array:
    """Compute Tukey's biweight: 1 for no residual, 0 beyond a limit.

    Parameters
    ----------
    squares
        (n,) — squared residuals in units of their variance.
    limit
        Residual, in σ, from which a source has no weight.

    Returns
    -------
    (n,) — (1 − r²/c²)² (Beaton & Tukey 1974).
    """
    inside: Array = np.maximum(1 - squares / limit**2, 0.0) ** 2
    return inside


@cache
def _kept_variance(limit: float, dimensions: int) -> float:
    """Return the mean square of Gaussian residuals that are weighted by the biweight of their distance, in σ²."""
    # A distance r has the density r^(d-1) exp(-r²/2), and a square of r²/d along each axis.
    r = np.linspace(0.0, limit, 2001)
    density = r ** (dimensions - 1) * np.exp(-(r**2) / 2) * biweight(r**2, limit)
    return float((density * r**2).sum() / density.sum()) / dimensions


def excess_variance(
    residuals: Array, variances: Array, weights: Array, n_parameters: float, *, limit: float, dimensions: int = 1
) -> float:
    """Estimate the variance of residuals beyond their errors.

    The excess s² makes Σ e²/(σ² + s²) equal to the degrees of freedom (Paule & Mandel 1982). It is 0 unless χ² exceeds
    its expectation significantly, since noise alone would give an excess in half of all cases.

    Parameters
    ----------
    residuals
        (n,) — residuals e.
    variances
        (n,) — squared errors σ², positive.
    weights
        (n,) — 0 for outliers, 1 for other sources, or values between these.
    n_parameters
        Number of fitted parameters.
    limit, dimensions
        Limit of the weights, which are biweights, and the number of components that they are computed from. Weights
        that fall with the residual take a known part of the scatter away.

    Returns
    -------
    s², in the unit of the variances.
    """
    freedom = (float(weights.sum()) - n_parameters) * _kept_variance(limit, dimensions)
    if freedom <= 0:
        return 0.0
    squares = weights * residuals**2
    if float((squares / variances).sum()) <= freedom + SIGNIFICANT * math.sqrt(2 * freedom):
        return 0.0
    excess = 0.0
    for _ in range(N_STEPS):
        total = variances + excess
        step = (float((squares / total).sum()) - freedom) / float((squares / total**2).sum())
        excess += step
        if step <= 1e-9 * excess:
            break
    return excess
