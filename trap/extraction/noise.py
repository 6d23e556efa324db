"""How alike the noise of two pixels is, by their distance: what all errors rest on.

Noise in a radio image is smooth on the scale of the beam, so neither do errors shrink with the number
of pixels, nor is the scatter within a small cell all the scatter there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import fft, ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.extraction.sky import Sky
    from trap.typing import Array


__all__ = ["beam_correlation", "measure_correlation", "share_of_mean"]

LEAST_CORRELATION = 1e-3
"""Where the table ends: what is less than this by the beam counts as nothing."""
LARGEST_LAG = 100
"""Pixels after which the table ends in any case."""
TILE = 256
"""Side of the parts of the image on which the noise is looked at, in pixels."""
COARSE = 8
"""Every which pixel is looked at to choose them; divides the side."""
N_TILES = 4
"""How many of them, and at most every fourth of an image's: each gives the correlation to 2 % with a beam of 5 pixels,
and takes as long as finding the sources in it."""
FREE_SIGMA = 4.0
"""Around pixels that stand out by this much, up or down, the noise is not looked at."""
LEAST_SAMPLES = 300.0
"""Independent patches of noise below which the beam says more about it than they do."""


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
    m = int(np.clip(np.ceil(widest * np.sqrt(-4 * np.log(LEAST_CORRELATION))), 2, LARGEST_LAG))
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


def measure_correlation(sky: Sky, beam: Array) -> Array:
    """Measure the autocorrelation of the noise where no source shines.

    Parameters
    ----------
    beam
        (3,) pix⁻² — coefficients of the beam's exponent: for the size of the table, and its values where the
        image has too little empty sky to tell.

    Returns
    -------
    (2 m + 1, 2 m + 1)
        At lags -m to m pixels along y and x.
    """
    expected = beam_correlation(beam)
    m = expected.shape[0] // 2
    sums = [_lag_sums(sky.significance(*tile), beam, m) for tile in _emptiest_tiles(sky)]
    products, pairs = (np.sum(parts, axis=0) for parts in zip(*sums, strict=True))
    variance = products[m, m] / max(pairs[m, m], 1.0)
    if pairs[m, m] < LEAST_SAMPLES * expected.sum() or variance <= 0 or pairs.min() < 1:
        return expected
    measured: Array = products / pairs / variance
    return measured


def _emptiest_tiles(sky: Sky) -> list[tuple[slice, slice]]:
    """The tiles with the most pixels that count."""
    ny, nx = sky.data.shape
    tiles = [
        (slice(y, y + TILE), slice(x, x + TILE))
        for y in range(0, max(ny - TILE // 2, 1), TILE)
        for x in range(0, max(nx - TILE // 2, 1), TILE)
    ]
    # A coarse look will do.
    is_free = np.abs(sky.significance(slice(None, None, COARSE), slice(None, None, COARSE))) < FREE_SIGMA
    n_good = [
        np.count_nonzero(is_free[tuple(slice(s.start // COARSE, s.stop // COARSE) for s in tile)]) for tile in tiles
    ]
    n_tiles = min(N_TILES, -(-len(tiles) // N_TILES))
    return [tiles[i] for i in np.argsort(n_good)[::-1][:n_tiles]]


def _lag_sums(tile: NDArray[np.float32], beam: Array, m: int) -> tuple[Array, Array]:
    """Sums over all pairs of free pixels at each lag: of the products of their values, and of ones."""
    a, b, c = beam
    fwhm_y, fwhm_x = (np.sqrt(8 * np.log(2) * part / (a * c - b**2)) for part in (a, c))
    stands_out = np.isfinite(tile) & (np.abs(tile) >= FREE_SIGMA)
    size = tuple(2 * int(np.ceil(fwhm)) + 1 for fwhm in (fwhm_y, fwhm_x))
    free = np.isfinite(tile) & ~ndimage.maximum_filter(stands_out.view(np.uint8), size).view(bool)
    shape = [fft.next_fast_len(max(n, m + 1) + m, real=True) for n in tile.shape]
    sums = []
    for values in (np.where(free, tile, np.float32(0)), free.astype(np.float32)):
        transform = fft.rfft2(values, shape)
        lags = fft.irfft2(transform.real**2 + transform.imag**2, shape)
        sums.append(np.asarray(np.roll(lags, (m, m), (0, 1))[: 2 * m + 1, : 2 * m + 1], float))
    return sums[0], np.round(sums[1])
