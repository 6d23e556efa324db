"""Whether a candidate looks like a point source of a plausible spectrum in a well calibrated part of an image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trap.calibration.scatter import biweight, excess_variance

if TYPE_CHECKING:
    from trap.typing import Array

__all__ = ["SPECTRAL_INDICES", "BandFluxes", "absence", "local_gains", "shape_significance"]

SHAPE_FLOOR = 0.1
"""Relative error of an area that no source goes below: fields are smeared at their edges, and beams are not known
better."""
AREA_ERROR = 2.0
"""Relative error of the area of a beam-shaped source, times its signal-to-noise ratio."""
SPECTRAL_INDICES = (-4.0, 2.0)
"""Range of the spectral index α of S ∝ ν^α: steep pulsars to optically thick sources."""
SCALE_ERROR = 0.1
"""Relative error of the ratio of flux densities of two bands: their scales and primary beams differ."""
N_NEIGHBOURS = 8
"""Number of steady sources around a candidate whose brightening is measured."""
MIN_STEADY = 24
"""Least number of steady sources in an image; of fewer, eight are no neighbourhood."""
GAIN_FLOOR = 0.01
"""Relative error that no steady source goes below."""
OUTLIER = 6.0
"""Residual, in σ, from which a source does not count in the scatter."""


class BandFluxes(NamedTuple):
    """Flux densities of candidates in another band of the same time.

    Parameters
    ----------
    frequency
        Hz — frequency of the other band.
    peak, error
        (n,) Jy/beam — peak flux densities and their 1σ errors; NaN where nothing was measured.
    """

    frequency: float
    peak: Array
    error: Array


def shape_significance(peak: Array, integrated: Array, noise: Array) -> tuple[Array, Array]:
    """Compute the fitted area of candidates in units of the beam's area, and its significance.

    A beam-shaped source of signal-to-noise ratio ρ has a relative error of 2/ρ in its area, as fits in simulated noise
    show. Condon (1997) has 1/ρ for each width, but in noise that is correlated over the beam they err together.

    Parameters
    ----------
    peak, integrated
        (n,) Jy/beam and Jy — flux densities.
    noise
        (n,) Jy/beam — local noise.

    Returns
    -------
    areas
        (n,) — NaN if the two flux densities have no ratio that is an area.
    significance
        (n,) σ — negative for an area smaller than the beam's.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        areas = np.where(integrated / peak > 0, integrated / peak, np.nan)
        error = np.hypot(AREA_ERROR * noise / np.abs(peak), SHAPE_FLOOR)
        return areas, np.log(areas) / error


def absence(peak: Array, error: Array, frequency: float, others: list[BandFluxes]) -> Array:
    """Compute the significance of candidates being absent from other bands of the same time.

    The other band must show at least the least flux density that :data:`SPECTRAL_INDICES` allow. With the error of the
    scales, the significance is at most 10 without any flux density there.

    Parameters
    ----------
    peak, error
        (n,) Jy/beam — absolute peak flux densities and their errors.
    frequency
        Hz — frequency of their image.
    others
        Flux densities in the other bands, with the sign of the candidate.

    Returns
    -------
    (n,) σ — the highest one of all bands; negative if every band shows more than needed, NaN if none was measured.
    """
    found = np.full(len(peak), np.nan)
    for other in others:
        least = min((other.frequency / frequency) ** index for index in SPECTRAL_INDICES)
        expected = least * peak
        missing = (expected - other.peak) / np.sqrt(
            other.error**2 + (least * error) ** 2 + (SCALE_ERROR * expected) ** 2
        )
        found = np.fmax(found, missing)
    return found


def local_gains(
    x: Array, y: Array, steady: tuple[Array, Array], log_ratios: Array, variances: Array
) -> tuple[Array, Array]:
    """Measure the brightening of the steady sources around candidates, against the rest of the image.

    The source that speaks most for a brightening is left out of its significance, as in
    :func:`trap.calibration.patches.find_patch`, so that a single variable source is none.

    Parameters
    ----------
    x, y
        (n,) — positions of the candidates.
    steady
        (m,) each — positions of steady sources.
    log_ratios, variances
        (m,) — logarithms of their flux densities over their earlier means, and their squared errors.

    Returns
    -------
    gain
        (n,) — relative brightening; NaN with fewer than :data:`MIN_STEADY` steady sources.
    significance
        (n,) σ — with the sign of the gain.
    """
    n_steady = len(log_ratios)
    if n_steady < MIN_STEADY:
        return np.full(len(x), np.nan), np.full(len(x), np.nan)
    values = log_ratios - np.median(log_ratios)
    errors = variances + GAIN_FLOOR**2
    spread = (1.4826 * float(np.median(np.abs(values)))) ** 2
    good = biweight(values**2 / (errors + spread), OUTLIER)
    weights = 1 / (errors + excess_variance(values, errors, good, 1.0, limit=OUTLIER))
    gains, significances = np.full(len(x), np.nan), np.full(len(x), np.nan)
    # A loop, since each candidate has its own neighbours; candidates are few.
    for i in range(len(x)):
        distance = (steady[0] - x[i]) ** 2 + (steady[1] - y[i]) ** 2
        near = np.argpartition(distance, N_NEIGHBOURS)[:N_NEIGHBOURS]
        gains[i], significances[i] = _brightening(values[near], weights[near])
    return gains, significances


def _brightening(values: Array, weights: Array) -> tuple[float, float]:
    """Return the mean of a few logarithms as a gain, and its significance without the value that speaks most for it."""
    mean = float((weights * values).sum() / weights.sum())
    rest = weights.sum() - weights
    ratios = math.copysign(1.0, mean) * (weights * values).sum() - math.copysign(1.0, mean) * weights * values
    significance = float((ratios / np.sqrt(rest)).min())
    return math.expm1(mean), math.copysign(max(significance, 0.0), mean)
