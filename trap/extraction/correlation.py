"""Autocorrelation of noise that is smoothed by the beam, and its consequence for the means of pixels.

Noise in a radio image is smooth on the scale of the beam. Therefore errors do not shrink with the number of pixels,
and the scatter within a small cell is less than the noise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from trap.typing import Array

__all__ = ["beam_correlation", "share_of_mean"]

MIN_CORRELATION = 1e-3
"""Correlation, according to the beam, at which the table ends: smaller values are neglected."""
MAX_LAG = 100
"""Largest lag of the table in pixels, for beams of any size."""
MAX_SHARE_OF_MEAN = 0.9
"""Largest share of the variance that the mean of a rectangle may have, for rectangles smaller than the beam."""


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
