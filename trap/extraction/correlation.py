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


def beam_correlation(beam: Array) -> Array:
    """Autocorrelation of white noise smoothed with the beam: a Gaussian √2 wider than it.

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
    widest = np.sqrt(max(a, c) / (a * c - b**2))
    m = int(np.clip(np.ceil(widest * np.sqrt(-4 * np.log(MIN_CORRELATION))), 2, MAX_LAG))
    v, u = np.mgrid[-m : m + 1, -m : m + 1]
    table: Array = np.exp(-(a * u**2 + 2 * b * u * v + c * v**2) / 4)
    return table


def share_of_mean(correlation: Array, shape: tuple[int, int]) -> float:
    """Variance of the mean of a rectangle of pixels, over the variance of a pixel.

    By this share the variance about the rectangle's own mean falls short of that of the noise.

    Parameters
    ----------
    shape
        Rows and columns of the rectangle.
    """
    m = correlation.shape[0] // 2
    pairs_y, pairs_x = (np.maximum(n - np.abs(np.arange(-m, m + 1)), 0) for n in shape)
    return min(float(pairs_y @ correlation @ pairs_x) / (shape[0] * shape[1]) ** 2, 0.9)
