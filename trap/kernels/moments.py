"""Sums over the pixels of components: brightness, position and extent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.kernels.compiled import compiled

if TYPE_CHECKING:
    from trap.typing import Array, Indices


__all__ = ["component_moments"]


@compiled
def component_moments(pixels: tuple[Indices, Indices, Array, Array], number: Indices, n: int) -> Array:
    """Compute the moments of each component.

    Parameters
    ----------
    pixels
        (n_pixels,) each — columns, rows (pix), values and noise (Jy/beam).
    number
        (n_pixels,) — component of each pixel, 0 to n - 1. Each component must have a pixel.
    n
        Number of components.

    Returns
    -------
    (n, 9)
        Columns 0, 1: mean x and y (pix); 2 to 4: second central moments xx, xy, yy (pix²); 5: highest value (Jy/beam);
        6: noise there (Jy/beam); 7: highest value over noise; 8: number of pixels. Means are weighted with the value.
    """
    x, y, value, rms = pixels
    result, flux = np.zeros((n, 9)), np.zeros(n)
    for k in range(n):
        result[k, 5] = result[k, 7] = -np.inf
    for i in range(x.size):
        row = result[number[i]]
        flux[number[i]] += value[i]
        row[0] += value[i] * x[i]
        row[1] += value[i] * y[i]
        row[7] = max(row[7], value[i] / rms[i])
        row[8] += 1
        if value[i] > row[5]:
            row[5], row[6] = value[i], rms[i]
    for k in range(n):
        result[k, 0] /= flux[k]
        result[k, 1] /= flux[k]
    # A second pass for the central moments, since the difference of mean squares would lose digits.
    for i in range(x.size):
        row = result[number[i]]
        u, v = x[i] - row[0], y[i] - row[1]
        row[2] += value[i] * u * u
        row[3] += value[i] * u * v
        row[4] += value[i] * v * v
    for k in range(n):
        for q in range(2, 5):
            result[k, q] /= flux[k]
    return result
