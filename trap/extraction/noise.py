"""Autocorrelation of the noise, measured in the emptiest parts of an image: all errors are computed from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

from trap.extraction.correlation import beam_correlation, valid_correlation
from trap.extraction.field import grown_mask

if TYPE_CHECKING:
    from trap.extraction.field import Field
    from trap.typing import Array, Map


__all__ = ["measure_correlation"]

TILE = 256
"""Side of the image tiles that the noise is measured in, in pixels."""
COARSE_STEP = 8
"""Distance of the samples for the choice of tiles, in pixels; divides the side of a tile."""
MAX_TILES = 4
"""Number of tiles, and at most every fourth tile of an image. One tile gives the correlation to 2 % with a beam of 5
pixels, and takes as long as finding the sources in it."""
FREE_SIGMA = 4.0
"""Height or depth, in σ, of pixels around which the noise is not measured."""
MIN_SAMPLES = 300.0
"""Number of independent patches of noise below which the beam's correlation is more precise than a measured one."""


def measure_correlation(field: Field) -> Array:
    """Measure the autocorrelation of the noise between sources.

    Parameters
    ----------
    field
        The searched field. Its beam gives the size of the table, and the values if there is too little empty sky.

    Returns
    -------
    (2 m + 1, 2 m + 1)
        At lags -m to m pixels along y and x; a valid covariance, see
        :func:`~trap.extraction.correlation.valid_correlation`.
    """
    expected = beam_correlation(field.beam)
    m = expected.shape[0] // 2
    sums = [_lag_sums(field.significance(*tile), field.beam, m) for tile in _emptiest_tiles(field)]
    products, pairs = (np.sum(parts, axis=0) for parts in zip(*sums, strict=True))
    variance = products[m, m] / max(pairs[m, m], 1.0)
    # The sum of the correlation is the number of pixels in an independent patch.
    if pairs[m, m] < MIN_SAMPLES * expected.sum() or variance <= 0 or pairs.min() < 1:
        return valid_correlation(expected)
    return valid_correlation(expected, products / pairs / variance)


def _emptiest_tiles(field: Field) -> list[tuple[slice, slice]]:
    """Choose the tiles with the most pixels of noise, by a coarse grid of samples."""
    ny, nx = field.data.shape
    tiles = [
        (slice(y, y + TILE), slice(x, x + TILE))
        for y in range(0, max(ny - TILE // 2, 1), TILE)
        for x in range(0, max(nx - TILE // 2, 1), TILE)
    ]
    samples = field.significance(slice(None, None, COARSE_STEP), slice(None, None, COARSE_STEP))
    is_free = np.abs(samples) < FREE_SIGMA
    n_free = [
        np.count_nonzero(is_free[tuple(slice(s.start // COARSE_STEP, s.stop // COARSE_STEP) for s in tile)])
        for tile in tiles
    ]
    n_tiles = min(MAX_TILES, -(-len(tiles) // MAX_TILES))
    return [tiles[i] for i in np.argsort(n_free)[::-1][:n_tiles]]


def _lag_sums(tile: Map, beam: Array, m: int) -> tuple[Array, Array]:
    """Sum over all pairs of free pixels at each lag: the products of their values, and their number."""
    a, b, c = beam
    fwhm_y, fwhm_x = (np.sqrt(8 * np.log(2) * part / (a * c - b**2)) for part in (a, c))
    stands_out = np.isfinite(tile) & (np.abs(tile) >= FREE_SIGMA)
    near_sources = grown_mask(stands_out, half_y=int(np.ceil(fwhm_y)), half_x=int(np.ceil(fwhm_x)))
    is_free = np.isfinite(tile) & ~near_sources
    # Padded by the largest lag, so that the transform does not correlate opposite edges.
    shape = [fft.next_fast_len(max(n, m + 1) + m, real=True) for n in tile.shape]
    order = np.arange(-m, m + 1)
    sums = []
    for values in (np.where(is_free, tile, np.float32(0)), is_free.astype(np.float32)):
        transform = fft.rfft2(values, shape)
        # The power spectrum is the transform of the sums over pairs (Wiener and Khinchin).
        lags = fft.irfft2(transform.real**2 + transform.imag**2, shape)
        # Negative lags stand at the end of each axis.
        sums.append(np.asarray(lags[np.ix_(order, order)], float))
    return sums[0], np.round(sums[1])
