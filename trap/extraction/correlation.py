"""Autocorrelation of noise that is smoothed by the beam, and its consequence for the means of pixels.

Noise in a radio image is smooth on the scale of the beam. Therefore errors do not shrink with the number of pixels,
and the scatter within a small cell is less than the noise.

The variance of a fit is a sum over the covariances of all pairs of its pixels. It is positive for any fit only if the
power spectrum of the noise, the transform of the table, is nowhere negative (Bochner). A table that is measured lag by
lag has no such spectrum, and the more of the image is masked, the more of its spectrum is negative.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

if TYPE_CHECKING:
    from trap.typing import Array

__all__ = ["beam_correlation", "share_of_mean", "valid_correlation"]

MIN_CORRELATION = 1e-3
"""Correlation, according to the beam, at which the table ends: smaller values are neglected."""
MAX_LAG = 100
"""Largest lag of the table in pixels, for beams of any size."""
MAX_SHARE_OF_MEAN = 0.9
"""Largest share of the variance that the mean of a rectangle may have, for rectangles smaller than the beam."""
FULL_WEIGHT = 0.05
"""Correlation, according to the beam, from which a measured value has full weight. A smaller one is mostly chance."""
N_PROJECTIONS = 8
"""Number of times that negative power and larger lags are removed in turn. Each time leaves less of both."""
WHITE_RESERVE = 1.25
"""White noise that is added to a spectrum, over its lowest negative value: the grid of frequencies may miss a lower."""
MIN_WHITE = 1e-4
"""Smallest share of white noise in a pixel. The rounding of 32-bit pixels and of sums has such a share."""


def beam_correlation(beam: Array) -> Array:
    """Compute the autocorrelation of white noise smoothed with the beam: a Gaussian √2 wider than the beam.

    Parameters
    ----------
    beam
        (3,) pix⁻² — coefficients of the beam's exponent.

    Returns
    -------
    (2 m + 1, 2 m + 1)
        At lags -m to m pixels along y and x.
    """
    a, b, c = beam
    max_sigma = np.sqrt(max(a, c) / (a * c - b**2))
    m = int(np.clip(np.ceil(max_sigma * np.sqrt(-4 * np.log(MIN_CORRELATION))), 2, MAX_LAG))
    v, u = np.mgrid[-m : m + 1, -m : m + 1]
    table: Array = np.exp(-(a * u**2 + 2 * b * u * v + c * v**2) / 4)
    return table


def share_of_mean(correlation: Array, shape: tuple[int, int]) -> float:
    """Compute the variance of the mean of a rectangle of pixels, over the variance of a pixel.

    The variance about the mean of the rectangle is less than the variance of the noise by this share.

    Parameters
    ----------
    correlation
        (2 m + 1, 2 m + 1) — autocorrelation of the noise.
    shape
        Rows and columns of the rectangle.
    """
    m = correlation.shape[0] // 2
    pairs_y, pairs_x = (np.maximum(n - np.abs(np.arange(-m, m + 1)), 0) for n in shape)
    share = float(pairs_y @ correlation @ pairs_x) / (shape[0] * shape[1]) ** 2
    return min(share, MAX_SHARE_OF_MEAN)


def valid_correlation(expected: Array, measured: Array | None = None) -> Array:
    """Make a table of correlations that pixels can have: with a power spectrum that is positive everywhere.

    Lags at which the beam correlates noise by less than :data:`FULL_WEIGHT` are tapered to zero at the end of the
    table, since an abrupt end makes ripples of either sign in the spectrum. Then the nearest table without negative
    power is approached by projections onto the two conditions, in turn: a spectrum that is nowhere negative, and no
    correlation at larger lags. A little white noise covers the remaining negative power. It is added to the variance of
    a pixel, one per cent or less with a beam of 5 pixels, and matters to no fit, which averages over the beam.

    Parameters
    ----------
    expected
        (2 m + 1, 2 m + 1) — correlations according to the beam, from :func:`beam_correlation`.
    measured
        (2 m + 1, 2 m + 1) — measured correlations at the same lags, symmetric about lag 0; None to use the beam's.

    Returns
    -------
    (2 m + 1, 2 m + 1)
        Correlations; 1 at lag 0, and the share of the white noise.
    """
    size = expected.shape[0]
    m = size // 2
    valid = (expected if measured is None else measured) * _taper(expected)
    for _ in range(N_PROJECTIONS):
        valid = _lags(_nearest_power(_power(valid, 2 * size)), m)
    white = max(MIN_WHITE, -WHITE_RESERVE * float(_power(valid, 8 * size).min()))
    valid[m, m] += white
    return valid


def _taper(expected: Array) -> Array:
    """Weight lags from 1 at strong correlations to 0 at the edge of a table, by half a cosine in their logarithm."""
    edge = np.concatenate([expected[0], expected[:, 0]]).max()
    lowest = np.log(max(MIN_CORRELATION, edge))
    # A wide beam is still correlated at the edge of the largest table.
    highest = max(np.log(FULL_WEIGHT), lowest / 2)
    share = (np.log(np.maximum(expected, np.finfo(float).tiny)) - lowest) / (highest - lowest)
    weights: Array = np.sin(np.clip(share, 0.0, 1.0) * np.pi / 2) ** 2
    return weights


def _power(table: Array, size: int) -> Array:
    """Transform correlations to power at frequencies of a grid of at least ``size`` by ``size``; white noise has 1."""
    m, n = table.shape[0] // 2, fft.next_fast_len(size)
    padded, order = np.zeros((n, n)), np.arange(-m, m + 1)
    # Negative lags stand at the end of each axis.
    padded[np.ix_(order, order)] = table
    power: Array = fft.fft2(padded).real
    return power


def _lags(power: Array, m: int) -> Array:
    """Transform power to correlations at lags -m to m."""
    order = np.arange(-m, m + 1)
    table: Array = fft.ifft2(power).real[np.ix_(order, order)]
    return table


def _nearest_power(power: Array) -> Array:
    """Find the nearest spectrum without negative power whose mean, the variance of a pixel, is 1.

    All power is reduced by one amount, and ends at zero (projection onto a simplex; Held, Wolfe & Crowder 1974).
    """
    falling = np.sort(power, axis=None)[::-1]
    reduction = (np.cumsum(falling) - power.size) / np.arange(1, power.size + 1)
    n_positive = np.flatnonzero(falling > reduction)[-1]
    positive: Array = np.maximum(power - reduction[n_positive], 0.0)
    return positive
